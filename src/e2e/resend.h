// Asking for a message again: what a device answers when it could not decrypt one.
//
// The answer travels unencrypted inside a sealed or plain envelope, for the session that would
// encrypt it is the one that broke. So anybody who can deliver can forge one: whoever acts on it
// limits the rate and checks that the named ratchet key is the present one of that session.
// libsignal calls the two messages DecryptionErrorMessage and PlaintextContent.
#pragma once

#include <optional>

#include "base/id.h"
#include "base/time.h"
#include "e2e/identity.h"

namespace godwit::e2e {

struct DecryptionError {
  std::optional<PublicKey> ratchet_key;  // the failed message's; none for a sender key's
  Instant timestamp;                     // the failed message's, as its sender set it
  DeviceId device;                       // the device that sent it
  // The failed message's envelope, which names it to its sender whatever the clocks say. A field of
  // our own, which libsignal passes over.
  std::optional<EnvelopeId> envelope;
  // The message's key has opened another one: its sender was restored from a backup, and uses keys
  // again. A field of our own, too.
  bool reused = false;

  // About a message that could not be decrypted: its type as in the envelope. A message so broken
  // that it names no ratchet key yields none.
  static DecryptionError about_whisper(ByteView message, Instant timestamp, DeviceId device);
  static DecryptionError about_prekey(ByteView message, Instant timestamp, DeviceId device);

  Bytes encode() const;
  static Result<DecryptionError> parse(ByteView wire);
};

// The only content that is ever sent unencrypted.
Bytes encode_plaintext(const DecryptionError& error);
// kCorrupt: malformed. kUnsupported: content of another kind, which may only come encrypted.
Result<DecryptionError> parse_plaintext(ByteView wire);

}  // namespace godwit::e2e
