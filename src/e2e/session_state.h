// One agreed session with one device: what PQXDH left and the two ratchets move on.
#pragma once

#include <optional>

#include "base/time.h"
#include "e2e/double_ratchet.h"
#include "e2e/prekey.h"
#include "e2e/spqr.h"

namespace godwit::e2e {

struct SessionState {
  // Sent along until the other side has answered (PROTOCOLS "Session setup").
  struct Unacknowledged {
    std::optional<OneTimePrekeyId> one_time_prekey_id;
    SignedPrekeyId signed_prekey_id;
    Instant since;
    std::optional<KyberPrekeyId> kyber_prekey_id;
    Bytes kyber_ciphertext;  // in wire form
  };

  std::uint8_t version = 0;  // the version octet of our messages; the high half is the session's
  PublicKey remote_identity;
  PublicKey base_key;  // the initiator's: with the version, the name of this session
  std::uint16_t remote_registration_id = 0;
  std::optional<Unacknowledged> unacknowledged;
  DoubleRatchet ratchet;
  std::optional<Spqr> spqr;  // absent from sessions of old protocols only

  SessionState clone() const;
  crypto::SecretBytes serialize() const;
  static Result<SessionState> parse(ByteView record);
};

}  // namespace godwit::e2e
