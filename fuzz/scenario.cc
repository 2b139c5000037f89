// The parser of scenario files.
#include "sim/scenario.h"

#include "base/check.h"
#include "fuzz.h"

using namespace godwit;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto scenario = sim::parse_scenario("fuzz.chat", text_of({data, size}));
  if (scenario) CHECK(!sim::to_json_lines(*scenario).empty());
  else CHECK(scenario.error().starts_with("fuzz.chat:"));
  return 0;
}
