#include "crypto/kdf.h"

#include "base/check.h"
#include "crypto/hash.h"

namespace godwit::crypto {

void hkdf_sha256(ByteView salt, ByteView input_key, ByteView info, MutableByteView out) {
  constexpr std::size_t kBlock = 32;
  CHECK(out.size() <= 255 * kBlock);
  const Key pseudorandom_key = hmac_sha256(salt, input_key);
  Key block;
  ByteView previous;
  for (std::uint8_t i = 1; !out.empty(); ++i) {
    block = hmac_sha256(pseudorandom_key.view(), {previous, info, {&i, 1}});
    previous = block.view();
    const std::size_t take = std::min(kBlock, out.size());
    std::ranges::copy(previous.first(take), out.begin());
    out = out.subspan(take);
  }
}

}  // namespace godwit::crypto
