// Phone numbers as people write them.
#include "adapters/console/phone_number.h"

#include "base/check.h"
#include "fuzz.h"

using namespace godwit;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto number = adapters::parse_phone(text_of({data, size}));
  if (!number) return 0;
  CHECK(number->size() <= 16 && number->front() == '+');
  const auto again = adapters::parse_phone(*number);
  CHECK(again && *again == *number);
  return 0;
}
