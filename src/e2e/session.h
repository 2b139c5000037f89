// Session: end-to-end encryption with one device of somebody (X3DH, Double Ratchet, Sesame).
//
// Pure functions over one value. The caller loads the session record, calls, and commits the new
// record together with the message and a consumed prekey in one transaction, before a ciphertext
// leaves or a message is acknowledged. One call at a time per device.
//
// Invariants:
//   * an error leaves the session exactly as it was; a forged message changes nothing;
//   * a message key is used once; a message is decrypted once;
//   * a consumed one-time prekey is reported with the message that used it, never before.
//
// Two sides that start at once end with two sessions each; decrypting in one makes it current, so
// they converge on the next answer. Older sessions (limits::kArchivedSessions) still decrypt.
// Wire format: libsignal version 3 (message.h).
#pragma once

#include <optional>
#include <vector>

#include "base/env.h"
#include "e2e/message.h"
#include "e2e/prekey.h"
#include "e2e/session_state.h"

namespace godwit::e2e {

enum class MessageType : std::uint8_t { kWhisper = 2, kPrekey = 3 };

struct Encrypted {
  MessageType type = MessageType::kWhisper;
  Bytes message;
};

struct Decrypted {
  Bytes plaintext;
  PublicKey sender;                                // their identity key
  std::optional<OneTimePrekeyId> consumed_prekey;  // erase it in the same transaction
  bool new_session = false;                        // the other side started it with this message
};

class Session {
 public:
  // False: nothing can be encrypted before start_session() or a received prekey message.
  bool has_current() const { return current_.has_value(); }
  // The identity key and registration id at the other end of the current session.
  std::optional<PublicKey> remote_identity() const;
  std::optional<std::uint16_t> remote_registration_id() const;
  // Stops sending in the current session; it still decrypts. For a device that was reinstalled.
  void archive_current();

  Session clone() const;
  // The record holds secrets: store it encrypted. At most limits::kMaxSessionRecord octets.
  crypto::SecretBytes serialize() const;
  static Result<Session> parse(ByteView record);

 private:
  friend Result<void> start_session(Session&, const LocalIdentity&, const PrekeyBundle&,
                                    const PublicKey*, Env&);
  friend Result<Encrypted> encrypt(Session&, const LocalIdentity&, ByteView, Env&);
  friend class Receiver;

  void make_current(SessionState state);

  std::optional<SessionState> current_;
  std::vector<crypto::SecretBytes> archived_;  // serialized, newest first: rarely needed
};

// Makes a new current session from a bundle; the old one is archived.
// `pinned` is the identity key that the caller knows for this account, or null.
// kForbidden: the bundle has another identity. kCorrupt: the bundle does not verify.
Result<void> start_session(Session& session, const LocalIdentity& own, const PrekeyBundle& bundle,
                           const PublicKey* pinned, Env& env);

// kNotFound: no session yet: fetch a bundle, start_session(). kExpired: unanswered for
// limits::kUnacknowledgedSession: likewise. Lengths show: pad `plaintext` before.
Result<Encrypted> encrypt(Session& session, const LocalIdentity& own, ByteView plaintext, Env& env);

// `session` may be empty for a prekey message. kDuplicate: read before: acknowledge and drop.
// kNotFound: a prekey of ours that no longer exists. kForbidden: the sender's identity is not
// `pinned`: the caller decides, and may call again with what it accepted. kUnsupported: a version
// this code does not speak. kCorrupt: does not decrypt in any session.
Result<Decrypted> decrypt(Session& session, const LocalIdentity& own, const LocalPrekeys& prekeys,
                          MessageType type, ByteView message, const PublicKey* pinned, Env& env);

}  // namespace godwit::e2e
