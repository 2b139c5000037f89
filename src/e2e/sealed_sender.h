// Sealed sender: a message whose sender only the recipient learns, not the server that carries it.
//
// Two forms, byte-compatible with libsignal's. Version 1 seals for one device. Version 2 (as it is
// since August 2023) seals the same content for many: the sender uploads one "sent" form, the
// server splits it, and each device gets its "received" form. Both hide the sender; neither hides
// the recipient, the time or the size.
//
// What is sealed is a message of a session or a sender key: this layer never sees a plaintext, and
// adds no forward secrecy of its own. Invariants: content is returned only when its certificate is
// the service's, valid at the given time, and for the very key that sealed it; never when it is
// this device's own.
#pragma once

#include <span>
#include <vector>

#include "crypto/sender_certificate.h"
#include "e2e/identity.h"

namespace godwit::e2e {

using crypto::SenderCertificate;
using crypto::ServerCertificate;

// What the content is: the numbers are of this format alone.
enum class SealedType : std::uint8_t { kPrekey = 1, kWhisper = 2, kSenderKey = 7, kPlaintext = 8 };

// What the recipient shows when it cannot decrypt: an error at once, an error if no copy comes
// soon, nothing.
enum class ContentHint : std::uint8_t { kDefault = 0, kResendable = 1, kImplicit = 2 };

struct SealedContent {
  SealedType type = SealedType::kWhisper;
  SenderCertificate sender;
  Bytes message;
  ContentHint hint = ContentHint::kDefault;
  Bytes group_id;  // where an error is shown; empty outside groups

  Bytes encode() const;
  // kUnsupported: another type. kCorrupt: malformed. Unknown hints read as the default.
  static Result<SealedContent> parse(ByteView wire);
};

// kForbidden: the certificate is for another key than `own`. kCorrupt: `recipient` is a point of
// small order.
Result<Bytes> seal_for_one(const SealedContent& content, const LocalIdentity& own,
                           const PublicKey& recipient, Entropy& entropy);

struct SealedRecipient {
  struct Device {
    DeviceId id;
    std::uint16_t registration_id = 0;  // the server refuses a stale one
    bool operator==(const Device&) const = default;
  };
  UserId user;
  PublicKey identity_key;
  std::vector<Device> devices;  // 1..limits::kMaxDevices
};

// The "sent" form, for the server. Errors as above; kInvalid: no recipient or too many, one without
// devices, an id out of range.
Result<Bytes> seal_for_many(const SealedContent& content, const LocalIdentity& own,
                            std::span<const SealedRecipient> recipients, Entropy& entropy);

// A "sent" form taken apart. Borrows it.
struct SplitSealed {
  struct Recipient {
    UserId user;
    std::vector<SealedRecipient::Device> devices;  // empty: the sender left this user out
    ByteView keys;
  };
  std::vector<Recipient> recipients;
  ByteView shared;

  // kCorrupt: malformed. kUnsupported: another version, or an address that is no user's.
  static Result<SplitSealed> parse(ByteView sent);
  // What the devices of `recipient` receive.
  Bytes received_by(const Recipient& recipient) const;
};

struct SealedReceiver {
  const LocalIdentity& own;
  UserId user;
  DeviceId device;
  PublicKey trust_root;
};

// Opens either form. `at` is when the server received it. kCorrupt: does not decrypt, or was sealed
// by another key than its certificate names. kForbidden, kExpired: the certificate
// (SenderCertificate::validate). kDuplicate: this device's own message came back: drop it.
Result<SealedContent> open_sealed(ByteView received, const SealedReceiver& receiver, Instant at);

// The same for whoever looks at the certificate themselves, before anything in it is believed.
Result<SealedContent> open_unvouched(ByteView received, const LocalIdentity& own);

}  // namespace godwit::e2e
