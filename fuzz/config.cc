// A configuration file.
#include "runtime/config.h"

#include <sys/mman.h>
#include <unistd.h>

#include "base/check.h"
#include "fuzz.h"

using namespace godwit;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const int file = memfd_create("config", 0);
  CHECK(file >= 0 && ftruncate(file, 0) == 0);
  CHECK(pwrite(file, data, size, 0) == static_cast<ssize_t>(size));
  const auto loaded =
      runtime::load_config({.file = "/proc/self/fd/" + std::to_string(file),
                            .environment = [](const char*) -> const char* { return nullptr; },
                            .flags = {}});
  if (loaded) CHECK(!loaded->text().empty());
  else CHECK(!loaded.error().text.empty());
  return 0;
}
