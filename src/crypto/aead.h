// AES-256-GCM (NIST SP 800-38D) with a 96-bit nonce and a 128-bit tag after the text.
//
// Works from raw keys and keeps no context: a connection costs its key and nothing else.
// One nonce under one key, once: a second use gives away both texts and the means to forge.
#pragma once

#include "base/result.h"
#include "crypto/secret.h"

namespace godwit::crypto {

inline constexpr std::size_t kGcmNonce = 12;
inline constexpr std::size_t kGcmTag = 16;

// Appends text.size() + kGcmTag octets to `out`. `text` must not lie in `out`.
void aes_gcm_seal(KeyView key, std::span<const std::uint8_t, kGcmNonce> nonce, ByteView associated,
                  ByteView text, Bytes& out);

// Appends the text to `out`. kCorrupt: forged, damaged or another key; `out` is then unchanged.
Result<void> aes_gcm_open(KeyView key, std::span<const std::uint8_t, kGcmNonce> nonce,
                          ByteView associated, ByteView sealed, Bytes& out);

}  // namespace godwit::crypto
