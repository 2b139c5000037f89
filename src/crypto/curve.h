// X25519 (RFC 7748): key pairs and the Diffie-Hellman function.
#pragma once

#include "base/entropy.h"
#include "base/result.h"
#include "crypto/secret.h"

namespace godwit::crypto {

// A u-coordinate, little-endian.
using CurvePoint = ByteArray<32>;

struct KeyPair {
  Key private_key;  // clamped
  CurvePoint public_key{};

  static KeyPair generate(Entropy& entropy);
  // Clamps `private_key` and computes its public key.
  static KeyPair from_private(KeyView private_key);
  KeyPair clone() const { return {private_key.clone(), public_key}; }
};

// kCorrupt: the result is all zeros, so the other side sent a point of small order.
Result<Key> dh(const Key& private_key, const CurvePoint& their_public);

// True when `point` is canonically encoded and of prime order: what a received base key must be.
bool is_prime_order(const CurvePoint& point);

// The Edwards y with the same point (birational map, y = (u-1)/(u+1)), x's sign bit 0. All zeros
// for u = -1, which has none. Public data only: takes variable time.
ByteArray<32> edwards_y(const CurvePoint& point);

}  // namespace godwit::crypto
