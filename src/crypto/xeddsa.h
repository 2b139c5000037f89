// XEdDSA (signal.org/docs/specifications/xeddsa): Ed25519 signatures with X25519 keys.
//
// Signs in libsignal's form (the sign bit of the Edwards key travels in the signature's top bit);
// verifies that form and the published one (sign bit 0).
#pragma once

#include "crypto/curve.h"

namespace godwit::crypto {

using Signature = ByteArray<64>;

// `random` makes the nonce unpredictable; the signature stays safe if it repeats.
Signature xeddsa_sign(const Key& private_key, ByteView message, const ByteArray<64>& random);
bool xeddsa_verify(const CurvePoint& public_key, ByteView message, const Signature& signature);

}  // namespace godwit::crypto
