// SHA-256 of what is there at once, and HMAC, by libsodium: WebAssembly.
#include <sodium/crypto_auth_hmacsha256.h>

#include "crypto/hash.h"

namespace godwit::crypto {

ByteArray<32> sha256(Parts parts) {
  Sha256 hash;
  for (const ByteView part : parts) hash.add(part);
  return hash.digest();
}

Key hmac_sha256(ByteView key, Parts parts) {
  static constexpr std::uint8_t kEmpty = 0;  // libsodium wants an address even of no octets
  crypto_auth_hmacsha256_state state;
  crypto_auth_hmacsha256_init(&state, key.empty() ? &kEmpty : key.data(), key.size());
  for (const ByteView part : parts) crypto_auth_hmacsha256_update(&state, part.data(), part.size());
  Key tag;
  crypto_auth_hmacsha256_final(&state, tag.mutable_view().data());
  return tag;
}

}  // namespace godwit::crypto
