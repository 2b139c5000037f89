// SPQR: the sparse post-quantum ratchet, version 1, always on (signal.org/docs, "ML-KEM Braid").
//
// Next to the Double Ratchet: every message carries a few octets of an ML-KEM-768 exchange that
// never ends, and every message gets a key from what the exchanges so far have agreed on. Loss and
// reordering only slow it down.
//
// Not transactional: an error may leave it advanced. Callers work on a clone and keep it only after
// the message has verified.
#pragma once

#include "base/entropy.h"
#include "crypto/kem.h"
#include "e2e/erasure.h"
#include "e2e/spqr_chain.h"

namespace godwit::e2e {

class Spqr {
 public:
  // `seed`: from the key agreement.
  static Spqr start(const crypto::Key& seed, Role role);

  struct Sent {
    Bytes message;  // goes along with the ciphertext, in clear
    crypto::Key key;
  };
  // kExpired: the epoch's indexes are used up; nothing changed.
  Result<Sent> send(Entropy& entropy);
  // The key of the message that carried `message`. kDuplicate: given before. kUnsupported: another
  // version, or none: the other side may not leave it out. kCorrupt: malformed or forged. No key:
  // `may_be_keyless`, and it is of those that old peers send before they were answered. `jump`: how
  // many keys may be passed over.
  Result<std::optional<crypto::Key>> receive(ByteView message, bool may_be_keyless,
                                             std::uint32_t jump);
  Result<crypto::Key> receive(ByteView message);

  // The exchange under way, from 1.
  std::uint64_t epoch() const { return epoch_; }

  Spqr clone() const;
  crypto::SecretBytes serialize() const;
  static Result<Spqr> parse(ByteView record);

 private:
  // One side sends a key in two parts (header, vector), the other answers with a ciphertext in two
  // (first, second); then they change places. Names say what this side has done or has got.
  enum class Phase : std::uint8_t {
    // sender of the key
    kKeysUnsampled = 1,
    kKeysSampled = 2,
    kHeaderSent = 3,
    kFirstReceived = 4,
    kVectorSent = 5,
    // sender of the ciphertext
    kNoHeader = 6,
    kHeaderReceived = 7,
    kFirstSampled = 8,
    kVectorReceived = 9,  // the first ciphertext is not acknowledged yet
    kFirstAcknowledged = 10,  // the vector is not complete yet
    kSecondSampled = 11,
  };

  // Keeps the exchange from being tampered with.
  struct Authenticator {
    crypto::Key root;
    crypto::Key mac;

    void update(std::uint64_t epoch, const crypto::Key& secret);
    crypto::Key header_tag(std::uint64_t epoch, ByteView header) const;
    crypto::Key ciphertext_tag(std::uint64_t epoch, ByteView first, ByteView second) const;
  };
  struct Message;
  struct Holds;
  static Holds held(Phase phase);

  Message next_message(Entropy& entropy, std::optional<crypto::Key>& secret);
  Result<void> advance(const Message& message, std::optional<crypto::Key>& secret);
  Result<void> receive_header();
  Result<void> receive_vector(bool acknowledged);
  Result<void> receive_second(std::optional<crypto::Key>& secret);

  Role role_ = Role::kInitiator;
  Phase phase_ = Phase::kKeysUnsampled;
  std::uint64_t epoch_ = 1;
  Authenticator authenticator_;
  SpqrChain chain_;
  crypto::Secret<64> secret_;  // the seed of the own keys, or the state of the own encapsulation
  Bytes header_;  // theirs
  Bytes ciphertext_;  // their first part; or the own second part with its tag, to be sent
  Outgoing sending_;
  Incoming receiving_;
};

}  // namespace godwit::e2e
