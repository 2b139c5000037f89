#include "crypto/xeddsa.h"

#include <sodium/crypto_core_ed25519.h>
#include <sodium/crypto_scalarmult_ed25519.h>
#include <sodium/crypto_sign_ed25519.h>

#include "base/check.h"
#include "crypto/hash.h"

namespace godwit::crypto {
namespace {

constexpr std::uint8_t kSignBit = 0x80;

// Puts the top bit of the last octet of `from` into that of `to`.
void copy_sign(ByteView from, MutableByteView to) {
  to.back() = static_cast<std::uint8_t>((to.back() & ~kSignBit) | (from.back() & kSignBit));
}

// A hash of secrets, which is a secret, modulo the order of the base point.
Key scalar_of(ByteArray<64> digest) {
  Key scalar;
  crypto_core_ed25519_scalar_reduce(scalar.mutable_view().data(), digest.data());
  wipe(digest);
  return scalar;
}

// scalar * B, compressed.
ByteArray<32> base_multiple(const Key& scalar) {
  ByteArray<32> point;
  CHECK(crypto_scalarmult_ed25519_base_noclamp(point.data(), scalar.view().data()) == 0);
  return point;
}

}  // namespace

Signature xeddsa_sign(const Key& private_key, ByteView message, const ByteArray<64>& random) {
  ByteArray<64> wide{};
  std::ranges::copy(private_key.view(), wide.begin());
  const Key a = scalar_of(wide);
  wipe(wide);
  const ByteArray<32> public_point = base_multiple(a);

  // hash_1 of the specification: a prefix that no encoded point has.
  ByteArray<32> prefix;
  prefix.fill(0xff);
  prefix[0] = 0xfe;
  const Key r = scalar_of(sha512({prefix, private_key.view(), message, random}));
  const ByteArray<32> commitment = base_multiple(r);

  Key s = scalar_of(sha512({commitment, public_point, message}));
  const auto scalar = s.mutable_view().data();
  crypto_core_ed25519_scalar_mul(scalar, scalar, a.view().data());
  crypto_core_ed25519_scalar_add(scalar, scalar, r.view().data());

  Signature signature;
  std::ranges::copy(commitment, signature.begin());
  std::ranges::copy(s.view(), signature.begin() + 32);
  copy_sign(public_point, signature);
  return signature;
}

bool xeddsa_verify(const CurvePoint& public_key, ByteView message, const Signature& signature) {
  ByteArray<32> point = edwards_y(public_key);
  copy_sign(signature, point);
  Signature plain = signature;
  plain[63] &= static_cast<std::uint8_t>(~kSignBit);
  // u = -1 maps to y = 0, a point of small order, which libsodium refuses as a key.
  return crypto_sign_ed25519_verify_detached(plain.data(), message.data(), message.size(),
                                             point.data()) == 0;
}

}  // namespace godwit::crypto
