// A configuration file, of ASCII: for some other characters toml++ 3.3 tells the compiler that they
// cannot come. The file is written by who runs the server, so that is a nuisance, not a danger.
#include "runtime/config.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>

#include "base/check.h"
#include "fuzz.h"

using namespace godwit;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (std::any_of(data, data + size, [](std::uint8_t octet) { return octet >= 0x80; })) return 0;
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
