#include "crypto/field.h"

namespace godwit::crypto {
namespace {
__extension__ using Wide = unsigned __int128;
constexpr std::uint64_t kLow63 = 0x7fffffffffffffff;
}  // namespace

Field Field::parse(const ByteArray<32>& little_endian) {
  Limbs limbs{};
  for (std::size_t i = 0; i < 32; ++i) {
    limbs[i / 8] |= static_cast<std::uint64_t>(little_endian[i]) << (8 * (i % 8));
  }
  limbs[3] &= kLow63;
  return Field(limbs);
}

// low + high * 2^256, where 2^256 = 38 (mod p).
Field Field::reduce(const Limbs& low, std::uint64_t high) {
  Limbs sum = low;
  while (high != 0) {
    Wide carry = Wide{high} * 38;
    for (std::uint64_t& limb : sum) {
      carry += limb;
      limb = static_cast<std::uint64_t>(carry);
      carry >>= 64;
    }
    high = static_cast<std::uint64_t>(carry);
  }
  return Field(sum);
}

ByteArray<32> Field::canonical() const {
  // Bit 255 is worth 19; adding 19 more carries into it exactly when the value is at least p.
  Limbs limbs = limbs_;
  for (int round = 0; round < 2; ++round) {
    Wide carry = Wide{limbs[3] >> 63} * 19;
    limbs[3] &= kLow63;
    for (std::uint64_t& limb : limbs) {
      carry += limb;
      limb = static_cast<std::uint64_t>(carry);
      carry >>= 64;
    }
  }
  Limbs above = limbs;
  Wide carry = 19;
  for (std::uint64_t& limb : above) {
    carry += limb;
    limb = static_cast<std::uint64_t>(carry);
    carry >>= 64;
  }
  if (above[3] >> 63 != 0) {
    limbs = above;
    limbs[3] &= kLow63;
  }
  ByteArray<32> out;
  for (std::size_t i = 0; i < 32; ++i) {
    out[i] = static_cast<std::uint8_t>(limbs[i / 8] >> (8 * (i % 8)));
  }
  return out;
}

Field operator+(const Field& a, const Field& b) {
  Field::Limbs sum;
  Wide carry = 0;
  for (std::size_t i = 0; i < 4; ++i) {
    carry += Wide{a.limbs_[i]} + b.limbs_[i];
    sum[i] = static_cast<std::uint64_t>(carry);
    carry >>= 64;
  }
  return Field::reduce(sum, static_cast<std::uint64_t>(carry));
}

// a + (2p - b), with b brought below 2p = 2^256 - 38 first.
Field operator-(const Field& a, const Field& b) {
  const Field small = Field::parse(b.canonical());
  Field::Limbs negated;
  constexpr Field::Limbs kTwiceP = {UINT64_MAX - 37, UINT64_MAX, UINT64_MAX, UINT64_MAX};
  std::uint64_t borrow = 0;
  for (std::size_t i = 0; i < 4; ++i) {
    const Wide difference = Wide{kTwiceP[i]} - small.limbs_[i] - borrow;
    negated[i] = static_cast<std::uint64_t>(difference);
    borrow = static_cast<std::uint64_t>(difference >> 64) & 1;
  }
  return a + Field(negated);
}

Field operator*(const Field& a, const Field& b) {
  std::array<std::uint64_t, 8> product{};
  for (std::size_t i = 0; i < 4; ++i) {
    Wide carry = 0;
    for (std::size_t j = 0; j < 4; ++j) {
      carry += Wide{a.limbs_[i]} * b.limbs_[j] + product[i + j];
      product[i + j] = static_cast<std::uint64_t>(carry);
      carry >>= 64;
    }
    product[i + 4] = static_cast<std::uint64_t>(carry);
  }
  Field::Limbs low;
  Wide carry = 0;
  for (std::size_t i = 0; i < 4; ++i) {
    carry += Wide{product[i + 4]} * 38 + product[i];
    low[i] = static_cast<std::uint64_t>(carry);
    carry >>= 64;
  }
  return Field::reduce(low, static_cast<std::uint64_t>(carry));
}

// Fermat: a^(p-2). The exponent's bits, from the top: 250 ones, then 01011.
Field Field::inverse() const {
  Field power = one();
  for (int bit = 254; bit >= 0; --bit) {
    power = power * power;
    if (bit != 2 && bit != 4) power = power * *this;
  }
  return power;
}

}  // namespace godwit::crypto
