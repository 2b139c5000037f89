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
inline constexpr std::uint8_t kVersion3 = 0x34;  // X3DH: for tests with old peers only
inline constexpr std::uint8_t kVersion4 = 0x44;  // PQXDH

inline constexpr std::uint8_t session_version(std::uint8_t version_octet) {
  return version_octet >> 4;
}

// A device as messages name it: 0x00 || user || device, as libsignal writes a service id.
struct DeviceAddress {
  UserId user;
  DeviceId device;

  bool operator==(const DeviceAddress&) const = default;
};

// What binds a first message to its ends: sender, then receiver.
using AddressPair = ByteArray<36>;
AddressPair address_pair(const DeviceAddress& sender, const DeviceAddress& receiver);
// False: malformed.
bool parse_address_pair(ByteView pair, DeviceAddress& sender, DeviceAddress& receiver);

struct WhisperMessage {
  static constexpr std::size_t kMac = 8;

  std::uint8_t version = 0;
  PublicKey ratchet;
  std::uint32_t counter = 0;
  std::uint32_t previous_counter = 0;
  ByteView ciphertext;     // borrowed
  ByteView pq_ratchet;     // borrowed; empty without post-quantum ratchet
  ByteView addresses;      // borrowed; empty or an AddressPair
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
  std::optional<KyberPrekeyId> kyber_prekey_id;  // present in version 4
  ByteView kyber_ciphertext;                     // borrowed; in wire form, present in version 4

  // As WhisperMessage::parse().
  static Result<PrekeyMessage> parse(ByteView wire);
  Bytes encode() const;
};

}  // namespace godwit::e2e
