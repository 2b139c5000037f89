#include "crypto/hash.h"

#include <sodium/crypto_auth_hmacsha256.h>
#include <sodium/crypto_hash_sha256.h>
#include <sodium/crypto_hash_sha512.h>

#include <bit>

namespace godwit::crypto {

Sha256::Sha256() {
  crypto_hash_sha256_state state;
  crypto_hash_sha256_init(&state);
  state_ = std::bit_cast<ByteArray<104>>(state);
}

void Sha256::add(ByteView piece) {
  auto state = std::bit_cast<crypto_hash_sha256_state>(state_);
  crypto_hash_sha256_update(&state, piece.data(), piece.size());
  state_ = std::bit_cast<ByteArray<104>>(state);
}

ByteArray<32> Sha256::digest() const {
  auto state = std::bit_cast<crypto_hash_sha256_state>(state_);
  ByteArray<32> digest;
  crypto_hash_sha256_final(&state, digest.data());
  return digest;
}

ByteArray<32> sha256(Parts parts) {
  Sha256 hash;
  for (const ByteView part : parts) hash.add(part);
  return hash.digest();
}

ByteArray<64> sha512(Parts parts) {
  crypto_hash_sha512_state state;
  crypto_hash_sha512_init(&state);
  for (const ByteView part : parts) crypto_hash_sha512_update(&state, part.data(), part.size());
  ByteArray<64> digest;
  crypto_hash_sha512_final(&state, digest.data());
  return digest;
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
