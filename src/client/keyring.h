// Keyring: this device's own keys, private halves included: identity, signed and one-time prekeys,
// of curves and of Kyber.
//
// Private halves are stored before their public ones are uploaded; ids are never used twice. A
// one-time prekey is erased in the turn that stores the session it opened; a last-resort one
// remembers that session instead.
#pragma once

#include <map>
#include <set>

#include "client/turn.h"
#include "e2e/session.h"

namespace godwit::client {

class Keyring final : public e2e::LocalPrekeys {
 public:
  // Makes an identity, signed prekeys and a batch of one-time prekeys of each kind; forgets all
  // before.
  void generate(Turn& turn);
  bool ready() const { return identity_ && !signed_.empty(); }
  const e2e::LocalIdentity& identity() const { return *identity_; }

  // What the server gets with the registration: everything that there is.
  struct Offer {
    proto::SignedPrekey signed_prekey;
    std::vector<proto::OneTimePrekey> one_time_prekeys;
    proto::KemPrekey last_resort_prekey;
    std::vector<proto::KemPrekey> kem_prekeys;
  };
  Offer registration() const;
  // What the server lacks, given how many one-time prekeys it has left: makes new keys as needed,
  // rotates the signed prekeys when they are due. nullopt: nothing.
  std::optional<proto::UploadPrekeys> top_up(const proto::PrekeyStock& left, Turn& turn);
  // The server has the present signed prekeys.
  void on_uploaded(Turn& turn);
  // Somebody used a key that this device does not have, or has another one of that name: if it was
  // restored from a backup, it has lost them all. The next top_up() makes new ones, unless that
  // happened `most` times in an hour: what may just have been damaged is a weaker reason.
  void doubt(Instant now, std::size_t most);
  bool doubted() const { return doubted_; }
  // When top_up() has something to do even if no one-time prekeys are missing.
  Instant rotation_due() const;

  const e2e::SignedPrekey* find_signed(e2e::SignedPrekeyId id) const override;
  const e2e::OneTimePrekey* find_one_time(e2e::OneTimePrekeyId id) const override;
  std::optional<crypto::Kem1024SecretKey> find_kyber(e2e::KyberPrekeyId id) const override;
  bool was_used(const e2e::KyberUse& use) const override { return uses_.contains(use); }
  // What a message took: erased, or, of a last-resort prekey, remembered.
  void consume(const e2e::Decrypted& decrypted, Turn& turn);

  Result<void> load(const ports::Row& row);
  void store_all(ports::Batch& batch) const;

 private:
  struct Signed {
    e2e::SignedPrekey key;
    e2e::KyberPrekey last_resort;
    Instant made;
    bool uploaded = false;

    Bytes row() const;
  };

  void skip_ids(Entropy& entropy);
  void make_signed(Turn& turn);
  std::vector<proto::OneTimePrekey> make_one_time(Turn& turn);
  std::vector<proto::KemPrekey> make_kyber(Turn& turn);
  void remember(const e2e::KyberUse& use, Turn& turn);
  void retire(Turn& turn);

  std::optional<e2e::LocalIdentity> identity_;
  KeyCounters counters_;
  bool doubted_ = false;
  std::vector<Instant> renewals_;  // in the last hour
  std::map<std::uint32_t, Signed> signed_;  // the last one is the present one
  std::map<std::uint32_t, e2e::OneTimePrekey> one_time_;
  std::map<std::uint32_t, e2e::KyberPrekey> kyber_;  // one-time
  std::set<e2e::KyberUse> uses_;  // of last-resort prekeys
};

}  // namespace godwit::client
