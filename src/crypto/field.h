// Integers modulo p = 2^255 - 19, as far as mapping a public Montgomery point to its Edwards form
// needs them. Variable time: for public data only, never for keys.
#pragma once

#include "base/bytes.h"

namespace godwit::crypto {

class Field {
 public:
  // Little-endian; the top bit is ignored (RFC 7748, section 5).
  static Field parse(const ByteArray<32>& little_endian);
  static Field one() { return Field({1, 0, 0, 0}); }
  // The one encoding below p.
  ByteArray<32> canonical() const;

  friend Field operator+(const Field& a, const Field& b);
  friend Field operator-(const Field& a, const Field& b);
  friend Field operator*(const Field& a, const Field& b);
  Field inverse() const;  // of zero: zero

 private:
  using Limbs = std::array<std::uint64_t, 4>;  // least significant first; below 2^256, mod p
  explicit Field(const Limbs& limbs) : limbs_(limbs) {}
  static Field reduce(const Limbs& low, std::uint64_t high);

  Limbs limbs_;
};

}  // namespace godwit::crypto
