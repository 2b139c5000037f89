// Prekeys: public keys left with the server, so that a session can start while their owner sleeps.
//
// The signed prekey is kept for weeks; a one-time prekey is deleted with the first message that
// used it. So are Kyber prekeys, all of them signed, but for the last-resort one, which is given
// out when no other is left. The private halves never leave the device.
#pragma once

#include <optional>
#include <vector>

#include "base/id.h"
#include "e2e/identity.h"

namespace godwit::e2e {

// 1..2^24-1, never used twice by one device.
using SignedPrekeyId = NumericId<struct SignedPrekeyTag, std::uint32_t>;
using OneTimePrekeyId = NumericId<struct OneTimePrekeyTag, std::uint32_t>;
using KyberPrekeyId = NumericId<struct KyberPrekeyTag, std::uint32_t>;

struct SignedPrekey {
  SignedPrekeyId id;
  crypto::KeyPair keys;
  crypto::Signature signature{};  // by the identity key, over the 33-octet public key

  static SignedPrekey make(SignedPrekeyId id, const LocalIdentity& own, Entropy& entropy);
  PublicKey public_key() const { return {keys.public_key}; }
  crypto::SecretBytes serialize() const;
  static Result<SignedPrekey> parse(ByteView record);
};

struct OneTimePrekey {
  OneTimePrekeyId id;
  crypto::KeyPair keys;

  static OneTimePrekey make(OneTimePrekeyId id, Entropy& entropy);
  PublicKey public_key() const { return {keys.public_key}; }
  crypto::SecretBytes serialize() const;
  static Result<OneTimePrekey> parse(ByteView record);
};

// `count` of them with ids first, first + 1, ...
std::vector<OneTimePrekey> make_one_time_prekeys(OneTimePrekeyId first, std::size_t count,
                                                 Entropy& entropy);

// Kept as its seed: a fiftieth of the size; the keys are computed (0.1 ms) when asked for.
struct KyberPrekey {
  KyberPrekeyId id;
  crypto::KemSeed seed;
  crypto::Signature signature{};  // by the identity key, over the 1569-octet public key

  static KyberPrekey make(KyberPrekeyId id, const LocalIdentity& own, Entropy& entropy);
  KemPublicKey public_key() const { return {crypto::kem1024_keygen(seed).public_key}; }
  crypto::Kem1024SecretKey secret_key() const { return crypto::kem1024_keygen(seed).secret_key; }
  crypto::SecretBytes serialize() const;
  static Result<KyberPrekey> parse(ByteView record);
};

// What the server hands out about one device of somebody else.
struct PrekeyBundle {
  struct OneTime {
    OneTimePrekeyId id;
    PublicKey key;
  };
  struct Kyber {
    KyberPrekeyId id;
    KemPublicKey key;
    crypto::Signature signature{};
  };

  std::uint16_t registration_id = 0;
  DeviceId device_id;
  PublicKey identity_key;
  SignedPrekeyId signed_prekey_id;
  PublicKey signed_prekey;
  crypto::Signature signed_prekey_signature{};
  std::optional<OneTime> one_time_prekey;
  std::optional<Kyber> kyber_prekey;  // absent from peers of old protocols only

  // kCorrupt: a signature is not the identity key's. start_session() checks it too.
  Result<void> verify() const;
};

// What names a session that somebody started with a Kyber prekey of ours.
struct KyberUse {
  KyberPrekeyId prekey;
  SignedPrekeyId signed_prekey;
  PublicKey base_key;  // theirs

  auto operator<=>(const KyberUse&) const = default;
};

// The private prekeys of this device, as far as one message may need them. The pointers stay valid
// during the call that asked.
class LocalPrekeys {
 public:
  virtual ~LocalPrekeys() = default;
  virtual const SignedPrekey* find_signed(SignedPrekeyId id) const = 0;
  virtual const OneTimePrekey* find_one_time(OneTimePrekeyId id) const = 0;
  virtual std::optional<crypto::Kem1024SecretKey> find_kyber(KyberPrekeyId id) const = 0;
  // True when `use` was recorded. A last-resort prekey outlives its sessions: without this a first
  // message could be replayed once its session is gone.
  virtual bool was_used(const KyberUse& use) const = 0;
};

}  // namespace godwit::e2e
