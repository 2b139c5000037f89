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

// SHA-256 of what comes piece by piece. A plain value: a copy goes its own way.
class Sha256 {
 public:
  Sha256();
  void add(ByteView piece);
  ByteArray<32> digest() const;  // of the pieces so far

 private:
  alignas(8) ByteArray<104> state_;  // the library's, whose header stays out of this one
};

// The result is a key or a tag: compare it with equal().
Key hmac_sha256(ByteView key, Parts parts);
inline Key hmac_sha256(ByteView key, ByteView data) { return hmac_sha256(key, {data}); }

}  // namespace godwit::crypto
