// Sealing: how contents leave without their sender's name, and how the name is read where they
// arrive (sealed sender: e2e/sealed_sender.h).
//
// Keeps this account's profile key, from which its access key follows, and the server's certificate
// for this device with the trust root that it goes back to. The root is what the server tells over
// a channel that ends at its pinned key, so it is worth as much as that key.
//
// Invariants: nothing is sealed with a certificate that may be over when the server accepts it, by
// the server's clock; nobody is believed to have sent what their certificate does not say.
#pragma once

#include <set>

#include "client/connection.h"
#include "client/keyring.h"
#include "client/registration.h"
#include "e2e/sealed_sender.h"

namespace godwit::client {

class Sealing {
 public:
  struct Parts {
    const Registration& registration;
    const Keyring& keyring;
    Connection& connection;
  };
  explicit Sealing(Parts parts) : parts_(parts) {}

  // What contacts are given: who has it may write here without a name. Empty before the first
  // attachment.
  const Bytes& profile_key() const { return row_.profile_key; }
  // What opens the account of somebody with this profile key. zkgroup's derivation, as official
  // clients do it.
  static proto::AccessKey access_key(ByteView profile_key);

  // Asks for a certificate if the present one ends soon.
  void on_attached(const proto::Attached& attached, Turn& turn);
  void on_tick(Turn& turn);
  void on_certified(const proto::Certified& answer, Turn& turn);
  void on_refused(const proto::ErrorBody& error, Turn& turn);
  void on_disconnected() { asking_ = false; }
  Instant deadline() const;

  // A certificate is on its way.
  bool asking() const { return asking_; }
  // There is one that is good for what is sent now.
  bool ready(Instant now) const {
    return certificate_ && certificate_->expires - (now + ahead_) >= kMargin;
  }
  // Only when ready(). `type` and `message` as they would travel unsealed.
  Result<Bytes> seal(proto::CiphertextType type, Bytes message, const e2e::PublicKey& recipient,
                     Entropy& entropy) const;
  // Nothing can be opened yet, and it may be soon.
  bool awaits_root() const { return !trust_root_ && !gives_none_; }
  // Replaces the envelope by what is sealed in it, and names its sender. Errors as
  // e2e::open_sealed(); the envelope is then unchanged.
  Result<void> open(proto::Envelope& envelope);

  Result<void> load(const ports::Row& row);
  void store_all(ports::Batch& batch) const;

 private:
  // From sealing to the server's acceptance: a request's time, and some.
  static constexpr Duration kMargin = minutes(10);

  Result<void> check(const e2e::SenderCertificate& sender, Instant at);
  void ask(Turn& turn);
  void adopt();

  Parts parts_;
  SealingRow row_;
  std::optional<e2e::SenderCertificate> certificate_;
  std::optional<e2e::PublicKey> trust_root_;
  std::set<ByteArray<32>> vouched_;  // digests of certificates whose signatures were good
  Duration ahead_;  // the server's clock is this much ahead of ours
  bool asking_ = false;
  bool gives_none_ = false;  // the server, as long as this connection lasts
  Instant again_;  // after a refusal, not before
};

}  // namespace godwit::client
