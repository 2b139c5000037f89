// Session: end-to-end encryption with one device of somebody (PQXDH, Double Ratchet, SPQR, Sesame).
//
// Pure functions over one value. The caller loads the session record, calls, and commits the new
// record together with the message and a consumed prekey in one transaction, before a ciphertext
// leaves or a message is acknowledged. One call at a time per device.
//
// Invariants:
//   * an error leaves the session exactly as it was; a forged message changes nothing;
//   * a message key is used once; a message is decrypted once;
//   * a consumed prekey is reported with the message that used it, never before;
//   * no peer can talk a session down to an older protocol.
//
// Two sides that start at once end with two sessions each; decrypting in one makes it current, so
// they converge on the next answer. Older sessions (limits::kArchivedSessions) still decrypt.
// Wire format: libsignal's version 4 with its post-quantum ratchet required (message.h).
#pragma once

#include <optional>
#include <vector>

#include "base/env.h"
#include "e2e/message.h"
#include "e2e/prekey.h"
#include "e2e/session_state.h"

namespace godwit::e2e {

enum class MessageType : std::uint8_t { kWhisper = 2, kPrekey = 3 };

// What new sessions speak. The older ones are for tests with old peers: a product never names them.
enum class Protocol : std::uint8_t {
  kX3dh,  // version 3
  kPqxdh,  // version 4 without post-quantum ratchet
  kPqxdhSpqr,  // version 4
  // The same, but whoever starts may leave the ratchet's key out until the first answer, as
  // libsignal 0.75 to 0.90 does and later ones let pass.
  kPqxdhSpqrLater,
};

struct Encrypted {
  MessageType type = MessageType::kWhisper;
  Bytes message;
};

struct Decrypted {
  Bytes plaintext;
  PublicKey sender;  // their identity key
  bool new_session = false;  // the other side started it with this message; then, also:
  std::optional<OneTimePrekeyId> consumed_prekey;  // erase it in the same transaction
  std::optional<KyberUse> kyber_use;  // the same, or record it if it is of the last-resort prekey
};

class Session {
 public:
  Session() = default;
  // Binds first messages to these two: they say so, and others are refused. Does not change.
  Session(const DeviceAddress& own, const DeviceAddress& theirs) : ends_(Ends{own, theirs}) {}

  // False: nothing can be encrypted before start_session() or a received prekey message.
  bool has_current() const { return current_.has_value(); }
  // The identity key and registration id at the other end of the current session.
  std::optional<PublicKey> remote_identity() const;
  std::optional<std::uint16_t> remote_registration_id() const;
  // True when the current session sends with this ratchet key: it is what a message of ours named.
  bool sends_with(const PublicKey& ratchet_key) const;
  // Stops sending in the current session; it still decrypts. For a device that was reinstalled.
  void archive_current();

  Session clone() const;
  // The record holds secrets: store it encrypted. At most limits::kMaxSessionRecord octets.
  crypto::SecretBytes serialize() const;
  static Result<Session> parse(ByteView record);

 private:
  friend Result<void> start_session(Session&, const LocalIdentity&, const PrekeyBundle&,
                                    const PublicKey*, Env&, Protocol);
  friend Result<Encrypted> encrypt(Session&, const LocalIdentity&, ByteView, Env&);
  friend class Receiver;

  void make_current(SessionState state);

  struct Ends {
    DeviceAddress own, theirs;
  };
  std::optional<Ends> ends_;
  std::optional<SessionState> current_;
  std::vector<crypto::SecretBytes> archived_;  // serialized, newest first: rarely needed
};

// Makes a new current session from a bundle; the old one is archived.
// `pinned` is the identity key that the caller knows for this account, or null.
// kForbidden: the bundle has another identity. kCorrupt: the bundle does not verify. kUnsupported:
// it has no Kyber prekey.
Result<void> start_session(Session& session, const LocalIdentity& own, const PrekeyBundle& bundle,
                           const PublicKey* pinned, Env& env,
                           Protocol protocol = Protocol::kPqxdhSpqr);

// kNotFound: no session yet: fetch a bundle, start_session(). kExpired: unanswered for
// limits::kUnacknowledgedSession: likewise. Lengths show: pad `plaintext` before.
Result<Encrypted> encrypt(Session& session, const LocalIdentity& own, ByteView plaintext, Env& env);

// `session` may be empty for a prekey message. kDuplicate: read before: acknowledge and drop.
// Or, of a last-resort prekey, replayed. kNotFound: a prekey of ours that no longer exists.
// kForbidden: the sender's identity is not `pinned`: the caller decides, and may call again with
// what it accepted. kUnsupported: a version this code does not speak. kCorrupt: does not decrypt in
// any session.
Result<Decrypted> decrypt(Session& session, const LocalIdentity& own, const LocalPrekeys& prekeys,
                          MessageType type, ByteView message, const PublicKey* pinned, Env& env,
                          Protocol protocol = Protocol::kPqxdhSpqr);

}  // namespace godwit::e2e
