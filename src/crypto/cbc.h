// AES-256-CBC with PKCS#7 padding (NIST SP 800-38A, RFC 5652).
//
// Authenticates nothing: check a MAC over the ciphertext before calling aes_cbc_decrypt(), or its
// padding error becomes an oracle.
#pragma once

#include "base/result.h"
#include "crypto/secret.h"

namespace godwit::crypto {

inline constexpr std::size_t kAesBlock = 16;
using BlockView = std::span<const std::uint8_t, kAesBlock>;

Bytes aes_cbc_encrypt(KeyView key, BlockView iv, ByteView text);
// kCorrupt: not a whole number of blocks, none, or bad padding.
Result<Bytes> aes_cbc_decrypt(KeyView key, BlockView iv, ByteView sealed);

}  // namespace godwit::crypto
