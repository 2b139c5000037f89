#include "e2e/identity.h"

#include "e2e/record.h"

namespace godwit::e2e {
namespace {
constexpr std::uint8_t kTypeKyber1024 = 0x08;
constexpr std::uint64_t kRegistrationIds = 16380;  // 14 bits: sealed sender has no room for more

template <std::size_t N>
ByteArray<1 + N> typed(std::uint8_t type, const ByteArray<N>& octets) {
  ByteArray<1 + N> out;
  out[0] = type;
  std::ranges::copy(octets, out.begin() + 1);
  return out;
}

}  // namespace

ByteArray<KemPublicKey::kSize> KemPublicKey::wire() const { return typed(kTypeKyber1024, key); }

Result<KemPublicKey> KemPublicKey::parse(ByteView wire) {
  if (wire.size() != kSize || wire[0] != kTypeKyber1024) {
    return fail(Code::kCorrupt, "not a KEM public key in wire form");
  }
  KemPublicKey out;
  std::ranges::copy(wire.subspan(1), out.key.begin());
  if (!crypto::kem1024_valid(out.key)) {
    return fail(Code::kCorrupt, "a KEM public key out of range");
  }
  return out;
}

ByteArray<KemPublicKey::kSize> wire_of(const crypto::Kem1024Ciphertext& ciphertext) {
  return typed(kTypeKyber1024, ciphertext);
}

Result<crypto::Kem1024Ciphertext> parse_kem_ciphertext(ByteView wire) {
  if (wire.size() != KemPublicKey::kSize || wire[0] != kTypeKyber1024) {
    return fail(Code::kCorrupt, "not a KEM ciphertext in wire form");
  }
  return *to_array<std::tuple_size_v<crypto::Kem1024Ciphertext>>(wire.subspan(1));
}

LocalIdentity LocalIdentity::generate(Entropy& entropy) {
  LocalIdentity own{crypto::KeyPair::generate(entropy)};
  own.registration_id = static_cast<std::uint16_t>(1 + entropy.below(kRegistrationIds));
  return own;
}

crypto::Signature LocalIdentity::sign(ByteView message, Entropy& entropy) const {
  return crypto::xeddsa_sign(keys.private_key, message, entropy.draw<64>());
}

crypto::SecretBytes LocalIdentity::serialize() const {
  Bytes out;
  out.reserve(80);  // no growth: it would leave copies of the key behind
  put_key_pair(out, 1, keys);
  put_uint_field(out, 3, registration_id);
  return crypto::SecretBytes(std::move(out));
}

Result<LocalIdentity> LocalIdentity::parse(ByteView record) {
  LocalIdentity own;
  GODWIT_TRY(read_record(record, require(1, 2, 3), [&](const Reader::Field& field) {
    switch (field.number) {
      case 1: return read_octets(field, own.keys.private_key);
      case 2: return read_octets(field, own.keys.public_key);
      case 3: return read_uint(field, own.registration_id);
      default: return true;
    }
  }));
  return own;
}

}  // namespace godwit::e2e
