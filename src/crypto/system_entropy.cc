#include "crypto/system_entropy.h"

#include <unistd.h>

#include <algorithm>

#include "base/check.h"

namespace godwit::crypto {

void SystemEntropy::fill(MutableByteView out) {
  constexpr std::size_t kMaxRequest = 256;  // what getentropy() gives at once
  while (!out.empty()) {
    const std::size_t size = std::min(kMaxRequest, out.size());
    CHECK(getentropy(out.data(), size) == 0);
    out = out.subspan(size);
  }
}

}  // namespace godwit::crypto
