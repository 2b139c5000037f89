#include "crypto/curve.h"

#include <sodium/crypto_core_ed25519.h>
#include <sodium/crypto_scalarmult_curve25519.h>

#include "base/check.h"
#include "crypto/field.h"

namespace godwit::crypto {

KeyPair KeyPair::from_private(KeyView private_key) {
  KeyPair pair{Key(private_key)};
  const auto scalar = pair.private_key.mutable_view();
  scalar[0] &= 248;
  scalar[31] &= 127;
  scalar[31] |= 64;
  CHECK(crypto_scalarmult_curve25519_base(pair.public_key.data(), scalar.data()) == 0);
  return pair;
}

KeyPair KeyPair::generate(Entropy& entropy) {
  Key seed;
  entropy.fill(seed.mutable_view());
  return from_private(seed.view());
}

Result<Key> dh(const Key& private_key, const CurvePoint& their_public) {
  Key shared;
  // Fails exactly when the result is all zeros.
  if (crypto_scalarmult_curve25519(shared.mutable_view().data(), private_key.view().data(),
                                   their_public.data()) != 0) {
    return fail(Code::kCorrupt, "the other side's key is a point of small order");
  }
  return shared;
}

ByteArray<32> edwards_y(const CurvePoint& point) {
  const Field u = Field::parse(point);
  return ((u - Field::one()) * (u + Field::one()).inverse()).canonical();
}

bool is_prime_order(const CurvePoint& point) {
  if (Field::parse(point).canonical() != point) return false;
  // The check is about y alone as far as the order goes: (x, y) and (-x, y) have the same.
  const ByteArray<32> y = edwards_y(point);
  return crypto_core_ed25519_is_valid_point(y.data()) == 1;
}

}  // namespace godwit::crypto
