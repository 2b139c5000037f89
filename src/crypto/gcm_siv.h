// AES-256-GCM-SIV (RFC 8452): authenticated encryption that survives a repeated nonce.
//
// Two equal texts under one key and nonce are seen to be equal; nothing else leaks. Written here
// because no library at hand has it for every platform (docs/adr/0006); constant time, no tables.
#pragma once

#include "base/result.h"
#include "crypto/secret.h"

namespace godwit::crypto {

inline constexpr std::size_t kGcmSivNonce = 12;
inline constexpr std::size_t kGcmSivTag = 16;
using GcmSivNonce = std::span<const std::uint8_t, kGcmSivNonce>;

// The ciphertext and, after it, the tag.
Bytes aes_gcm_siv_seal(KeyView key, GcmSivNonce nonce, ByteView associated, ByteView text);

// kCorrupt: forged, damaged or another key.
Result<Bytes> aes_gcm_siv_open(KeyView key, GcmSivNonce nonce, ByteView associated,
                               ByteView sealed);

}  // namespace godwit::crypto
