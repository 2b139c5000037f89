// Long-term identity keys: who somebody is, cryptographically.
#pragma once

#include "base/entropy.h"
#include "base/result.h"
#include "crypto/kem.h"
#include "crypto/public_key.h"

namespace godwit::e2e {

using crypto::PublicKey;
using crypto::verify;

// A Kyber1024 public key in its wire form 0x08 || key (1569 octets). The type octets keep a curve
// key and a KEM key from being taken for each other, under a signature too.
struct KemPublicKey {
  static constexpr std::size_t kSize = 1 + std::tuple_size_v<crypto::Kem1024PublicKey>;
  crypto::Kem1024PublicKey key{};

  bool operator==(const KemPublicKey&) const = default;
  ByteArray<kSize> wire() const;
  // kCorrupt: another length or type octet, or a coefficient that is not reduced.
  static Result<KemPublicKey> parse(ByteView wire);
};

// A ciphertext to such a key has the same form.
ByteArray<KemPublicKey::kSize> wire_of(const crypto::Kem1024Ciphertext& ciphertext);
Result<crypto::Kem1024Ciphertext> parse_kem_ciphertext(ByteView wire);

// The identity of this device: the account's key pair and the device's registration id.
struct LocalIdentity {
  crypto::KeyPair keys;
  std::uint16_t registration_id = 0;  // 1..16380, random: tells a reinstalled device

  static LocalIdentity generate(Entropy& entropy);
  PublicKey public_key() const { return {keys.public_key}; }
  crypto::Signature sign(ByteView message, Entropy& entropy) const;

  crypto::SecretBytes serialize() const;
  static Result<LocalIdentity> parse(ByteView record);
};

}  // namespace godwit::e2e
