// Peer: one device with everything it keeps, in memory.
//
// Commits as a client must: a session, its prekeys and its pinned identity change together or not
// at all. Identities are pinned when first seen (unless `trust_all`).
#pragma once

#include <map>
#include <string>

#include "e2e/sealed_sender.h"
#include "e2e/sender_key.h"
#include "e2e/session.h"

namespace godwit::e2e_peer {

// Whom a session is with.
struct Address {
  std::string name;
  DeviceId device;
  auto operator<=>(const Address&) const = default;
};

// The octets of a UUID in its text form; nullopt for other text.
std::optional<ByteArray<16>> parse_uuid(std::string_view text);
std::string uuid_text(ByteView octets);

// The private prekeys. Kyber prekeys are all treated as last-resort ones: a bundle may be used by
// several testers, and a replay is refused all the same.
class PrekeyShelf final : public e2e::LocalPrekeys {
 public:
  std::map<e2e::SignedPrekeyId, e2e::SignedPrekey> signed_prekeys;
  std::map<e2e::OneTimePrekeyId, e2e::OneTimePrekey> one_time_prekeys;
  std::map<e2e::KyberPrekeyId, e2e::KyberPrekey> kyber_prekeys;
  std::vector<e2e::KyberUse> uses;

  const e2e::SignedPrekey* find_signed(e2e::SignedPrekeyId id) const override;
  const e2e::OneTimePrekey* find_one_time(e2e::OneTimePrekeyId id) const override;
  std::optional<crypto::Kem1024SecretKey> find_kyber(e2e::KyberPrekeyId id) const override;
  bool was_used(const e2e::KyberUse& use) const override;
};

class Peer {
 public:
  struct Options {
    e2e::Protocol protocol = e2e::Protocol::kPqxdhSpqrLater;
    bool trust_all = false;
  };
  struct Read {
    Bytes plaintext;
    std::vector<std::string> events;
  };

  Peer(Address self, e2e::LocalIdentity own, Options options)
      : self_(std::move(self)), own_(std::move(own)), options_(options) {}

  const Address& self() const { return self_; }
  const e2e::LocalIdentity& own() const { return own_; }

  // Makes fresh prekeys. kFull: too many are on the shelf.
  Result<e2e::PrekeyBundle> make_bundle(bool one_time, bool kyber, Entropy& entropy);
  Result<void> process(const Address& with, const e2e::PrekeyBundle& bundle, Env& env);
  Result<e2e::Encrypted> encrypt(const Address& to, ByteView plaintext, Env& env);
  Result<Read> decrypt(const Address& from, e2e::MessageType type, ByteView message, Env& env);

  // The own chain's state, which is started by the first call.
  Result<Bytes> distribution_message(const e2e::DistributionId& id, Entropy& entropy);
  Result<void> learn(const Address& from, ByteView distribution_message);
  Result<Bytes> group_encrypt(const e2e::DistributionId& id, ByteView plaintext, Entropy& entropy);
  Result<Bytes> group_decrypt(const Address& from, ByteView message);

  // `content` without its message, which these make.
  Result<Bytes> seal_for_one(const Address& to, e2e::SealedContent content, ByteView plaintext,
                             Env& env);
  Result<Bytes> seal_for_many(std::span<const Address> to, const e2e::DistributionId& id,
                              e2e::SealedContent content, ByteView plaintext, Entropy& entropy);
  Result<e2e::SealedContent> unseal(ByteView message, const e2e::PublicKey& trust_root,
                                    Instant at) const;
  // Decrypts what was sealed, in the session with its sender or with its sender key.
  Result<Read> read(const e2e::SealedContent& content, Env& env);

  crypto::SecretBytes serialize() const;
  static Result<Peer> parse(ByteView state);

 private:
  using SenderKeyName = std::pair<Address, e2e::DistributionId>;

  Result<e2e::Session> load(const Address& with) const;
  const e2e::PublicKey* pinned(const Address& with) const;
  Result<e2e::SenderKey> load_sender_key(const SenderKeyName& name) const;

  Address self_;
  e2e::LocalIdentity own_;
  Options options_;
  PrekeyShelf prekeys_;
  std::uint32_t bundles_ = 0;  // made so far: the prekeys' ids follow
  std::map<Address, crypto::SecretBytes> sessions_;
  std::map<Address, e2e::PublicKey> identities_;
  std::map<SenderKeyName, crypto::SecretBytes> sender_keys_;
};

}  // namespace godwit::e2e_peer
