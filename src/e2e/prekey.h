// Prekeys: public keys left with the server, so that a session can start while their owner sleeps.
//
// The signed prekey is kept for weeks; a one-time prekey is deleted with the first message that
// used it. The private halves never leave the device.
#pragma once

#include <optional>
#include <vector>

#include "base/id.h"
#include "e2e/identity.h"

namespace godwit::e2e {

// 1..2^24-1, never used twice by one device.
using SignedPrekeyId = NumericId<struct SignedPrekeyTag, std::uint32_t>;
using OneTimePrekeyId = NumericId<struct OneTimePrekeyTag, std::uint32_t>;

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

// What the server hands out about one device of somebody else.
struct PrekeyBundle {
  struct OneTime {
    OneTimePrekeyId id;
    PublicKey key;
  };

  std::uint16_t registration_id = 0;
  DeviceId device_id;
  PublicKey identity_key;
  SignedPrekeyId signed_prekey_id;
  PublicKey signed_prekey;
  crypto::Signature signed_prekey_signature{};
  std::optional<OneTime> one_time_prekey;

  // kCorrupt: the signature is not the identity key's. start_session() checks it too.
  Result<void> verify() const;
};

// The private prekeys of this device, as far as one message may need them. The pointers stay valid
// during the call that asked.
class LocalPrekeys {
 public:
  virtual ~LocalPrekeys() = default;
  virtual const SignedPrekey* find_signed(SignedPrekeyId id) const = 0;
  virtual const OneTimePrekey* find_one_time(OneTimePrekeyId id) const = 0;
};

}  // namespace godwit::e2e
