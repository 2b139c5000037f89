#include "crypto/ctr.h"

#include "crypto/aes_block.h"

namespace godwit::crypto {

Bytes aes_ctr(KeyView key, ByteView text) {
  constexpr std::size_t kBlock = 16;
  Bytes counters;  // big-endian, the upper half always zero
  counters.reserve(text.size() + kBlock);
  for (std::uint64_t i = 0; counters.size() < text.size(); ++i) {
    put_be64(counters, 0);
    put_be64(counters, i);
  }
  SecretBytes stream(std::move(counters));
  aes_encrypt_blocks(key, stream.mutable_view());
  Bytes out = to_bytes(text);
  for (std::size_t i = 0; i < out.size(); ++i) out[i] ^= stream.view()[i];
  return out;
}

}  // namespace godwit::crypto
