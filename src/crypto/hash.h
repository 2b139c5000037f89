// SHA-2 (FIPS 180-4) and HMAC (RFC 2104).
#pragma once

#include <initializer_list>

#include "crypto/secret.h"

namespace godwit::crypto {

// The parts of one input, hashed as if joined.
using Parts = std::initializer_list<ByteView>;

ByteArray<32> sha256(Parts parts);
ByteArray<64> sha512(Parts parts);
inline ByteArray<32> sha256(ByteView data) { return sha256({data}); }
inline ByteArray<64> sha512(ByteView data) { return sha512({data}); }

// The result is a key or a tag: compare it with equal().
Key hmac_sha256(ByteView key, Parts parts);
inline Key hmac_sha256(ByteView key, ByteView data) { return hmac_sha256(key, {data}); }

}  // namespace godwit::crypto
