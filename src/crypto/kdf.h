// HKDF with SHA-256 (RFC 5869).
#pragma once

#include "crypto/secret.h"

namespace godwit::crypto {

// Fills `out` (at most 255 * 32 octets, CHECKed). An empty salt means 32 zeros.
void hkdf_sha256(ByteView salt, ByteView input_key, ByteView info, MutableByteView out);

template <std::size_t N>
Secret<N> hkdf_sha256(ByteView salt, ByteView input_key, ByteView info) {
  Secret<N> out;
  hkdf_sha256(salt, input_key, info, out.mutable_view());
  return out;
}

}  // namespace godwit::crypto
