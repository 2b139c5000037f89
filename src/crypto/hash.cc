#include "crypto/hash.h"

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

ByteArray<64> sha512(Parts parts) {
  crypto_hash_sha512_state state;
  crypto_hash_sha512_init(&state);
  for (const ByteView part : parts) crypto_hash_sha512_update(&state, part.data(), part.size());
  ByteArray<64> digest;
  crypto_hash_sha512_final(&state, digest.data());
  return digest;
}

}  // namespace godwit::crypto
