#include "crypto/short_hash.h"

#include <sodium/crypto_shorthash_siphash24.h>

namespace godwit::crypto {

std::uint64_t short_hash(const ByteArray<16>& key, ByteView data) {
  ByteArray<8> hash;
  crypto_shorthash_siphash24(hash.data(), data.data(), data.size(), key.data());
  return get_be64(hash);
}

}  // namespace godwit::crypto
