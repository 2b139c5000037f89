// The two wire messages of a session (PROTOCOLS "Messages"), byte-compatible with libsignal.
//
//   SignalMessage       = version octet || protobuf || MAC, 8 octets
//   PreKeySignalMessage = version octet || protobuf, which wraps a whole SignalMessage
//
// The MAC covers the octets as received: a parsed message borrows them and is never re-encoded.
#pragma once

#include <optional>

#include "e2e/double_ratchet.h"
#include "e2e/prekey.h"

namespace godwit::e2e {

// Session version << 4 | current version. Receivers look at the high half only.
inline constexpr std::uint8_t kVersion3 = 0x34;

inline constexpr std::uint8_t session_version(std::uint8_t version_octet) {
  return version_octet >> 4;
}

struct WhisperMessage {
  static constexpr std::size_t kMac = 8;

  std::uint8_t version = 0;
  PublicKey ratchet;
  std::uint32_t counter = 0;
  std::uint32_t previous_counter = 0;
  ByteView ciphertext;     // borrowed
  ByteView pq_ratchet;     // borrowed; empty in version 3
  ByteView authenticated;  // everything before the MAC
  ByteView mac;

  // kUnsupported: a version this code does not speak. kCorrupt: malformed.
  static Result<WhisperMessage> parse(ByteView wire);
  // True when the MAC is the one that `sender` makes for `receiver`.
  bool verifies(const crypto::Key& mac_key, const PublicKey& sender,
                const PublicKey& receiver) const;
};

// Encodes the fields above but `authenticated` and `mac`, then adds the MAC.
Bytes encode_whisper(const WhisperMessage& message, const crypto::Key& mac_key,
                     const PublicKey& sender, const PublicKey& receiver);

struct PrekeyMessage {
  std::uint8_t version = 0;
  std::uint16_t registration_id = 0;
  std::optional<OneTimePrekeyId> one_time_prekey_id;
  SignedPrekeyId signed_prekey_id;
  PublicKey base_key;
  PublicKey identity_key;
  ByteView whisper;  // borrowed

  // As WhisperMessage::parse().
  static Result<PrekeyMessage> parse(ByteView wire);
  Bytes encode() const;
};

}  // namespace godwit::e2e
