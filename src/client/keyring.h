// Keyring: this device's own keys, private halves included: identity, signed and one-time prekeys.
//
// Private halves are stored before their public ones are uploaded; ids are never used twice. A
// one-time prekey is erased in the turn that stores the session it opened.
#pragma once

#include <map>

#include "client/turn.h"
#include "e2e/prekey.h"

namespace godwit::client {

class Keyring final : public e2e::LocalPrekeys {
 public:
  // Makes an identity, a signed prekey and a batch of one-time prekeys; forgets all before.
  void generate(Turn& turn);
  bool ready() const { return identity_ && !signed_.empty(); }
  const e2e::LocalIdentity& identity() const { return *identity_; }

  // What the server gets. `registration`: the signed prekey and all the one-time prekeys.
  struct Offer {
    proto::SignedPrekey signed_prekey;
    std::vector<proto::OneTimePrekey> one_time_prekeys;
  };
  Offer registration() const;
  // What the server lacks, given how many one-time prekeys it has left: makes new keys as needed,
  // rotates the signed prekey when it is due. nullopt: nothing.
  std::optional<proto::UploadPrekeys> top_up(std::uint32_t left, Turn& turn);
  // The server has the present signed prekey.
  void on_uploaded(Turn& turn);
  // When top_up() has something to do even if no one-time prekeys are missing.
  Instant rotation_due() const;

  const e2e::SignedPrekey* find_signed(e2e::SignedPrekeyId id) const override;
  const e2e::OneTimePrekey* find_one_time(e2e::OneTimePrekeyId id) const override;
  void erase_one_time(e2e::OneTimePrekeyId id, Turn& turn);

  Result<void> load(const ports::Row& row);
  void store_all(ports::Batch& batch) const;

 private:
  struct Signed {
    e2e::SignedPrekey key;
    Instant made;
    bool uploaded = false;
  };

  void make_signed(Turn& turn);
  std::vector<proto::OneTimePrekey> make_one_time(Turn& turn);
  void retire(Turn& turn);

  std::optional<e2e::LocalIdentity> identity_;
  KeyCounters counters_;
  std::map<std::uint32_t, Signed> signed_;  // the last one is the present one
  std::map<std::uint32_t, e2e::OneTimePrekey> one_time_;
};

}  // namespace godwit::client
