// The wire: every message that a client and a server exchange inside the Noise channel.
//
// The lists of fields below are the schema (base/codec.h: Protocol Buffers' wire format). Numbers
// are never reused. Nothing here can name plaintext: an Envelope carries ciphertext only.
//
// A connection carries Frames in both directions (proto/frame.h says how they lie in the stream).
// A request has a fresh non-zero `id`; its answer repeats it: kOk with the body that the kind
// names below, or kError with an ErrorBody. Notices have id 0 and no answer.
#pragma once

#include <string>
#include <vector>

#include "base/codec.h"
#include "base/limits.h"

namespace godwit::proto {

enum class Kind : std::uint8_t {
  // answers
  kOk = 1,
  kError = 2,  // ErrorBody
  // requests, client to server             answer's body
  kRequestCode = 16,    // RequestCode        (empty)
  kRegister = 17,       // Register           Registered
  kAttach = 18,         // Attach             Attached
  kLookup = 19,         // Lookup             LookedUp
  kFetchBundles = 20,   // FetchBundles       Bundles
  kUploadPrekeys = 21,  // UploadPrekeys      (empty)
  kSubmit = 22,         // Submit             (empty): stored, or acknowledged by the device
  kPing = 23,           // Ping               (empty)
  kChangeGroup = 24,    // ChangeGroup        (empty): it is the group's next state
  kFetchGroup = 25,     // FetchGroup         GroupHistory
  kSubmitGroup = 26,    // SubmitGroup        (empty): stored for every member
  kCertify = 27,        // Certify            Certified
  // notices
  kAck = 48,         // client: Ack. Everything up to here is on this device's disk: erase it
  kHint = 49,        // client: Hint. Passed on to devices that are connected now; never stored
  kDeliver = 64,     // server: Deliver
  kPrekeysLow = 65,  // server: PrekeyStock. Upload more
  kClosing = 66,     // server: Closing. The last frame of a connection that the server ends
  kHinted = 67,      // server: Envelope. A hint for this device; there is nothing to acknowledge
};

struct Frame {
  Kind kind{};
  std::uint64_t id = 0;
  Bytes body;  // the encoded record that `kind` names
  static void fields(auto& m, auto& field) {
    field(1, m.kind);
    field(2, m.id);
    field(3, m.body, limits::kMaxFrame);
  }
};

// ---- devices and their keys

// Public keys as they travel: 0x05 || u for curves, 0x08 || key for Kyber1024 (PROTOCOLS 2.1).
inline constexpr std::size_t kMaxPublicKey = 33;
inline constexpr std::size_t kKemPublicKey = 1569;
inline constexpr std::size_t kSignature = 64;

struct SignedPrekey {
  std::uint32_t id = 0;
  Bytes key;
  Bytes signature;  // XEdDSA by the identity key over `key`
  static void fields(auto& m, auto& field) {
    field(1, m.id);
    field(2, m.key, kMaxPublicKey);
    field(3, m.signature, kSignature);
  }
};

struct OneTimePrekey {
  std::uint32_t id = 0;
  Bytes key;
  static void fields(auto& m, auto& field) {
    field(1, m.id);
    field(2, m.key, kMaxPublicKey);
  }
};

// The first message of a session uses one of these, besides: a one-time one as long as there are
// any, then the last-resort one, again and again.
struct KemPrekey {
  std::uint32_t id = 0;
  Bytes key;
  Bytes signature;  // XEdDSA by the identity key over `key`
  static void fields(auto& m, auto& field) {
    field(1, m.id);
    field(2, m.key, kKemPublicKey);
    field(3, m.signature, kSignature);
  }
};

// What one device offers to somebody who wants to write to it.
struct Bundle {
  DeviceId device;
  std::uint32_t registration_id = 0;
  Bytes identity_key;
  SignedPrekey signed_prekey;
  std::optional<OneTimePrekey> one_time_prekey;  // absent when they ran out
  KemPrekey kem_prekey;
  static void fields(auto& m, auto& field) {
    field(1, m.device);
    field(2, m.registration_id);
    field(3, m.identity_key, kMaxPublicKey);
    field(4, m.signed_prekey);
    field(5, m.one_time_prekey);
    field(6, m.kem_prekey);
  }
};

// ---- registration

struct RequestCode {
  std::string phone;  // E.164: '+' and 7 to 15 digits
  static void fields(auto& m, auto& field) { field(1, m.phone, 16); }
};

// Proves possession of the number with the code; creates the account, or takes it over: its
// devices, queues and prekeys are replaced by this device. The Noise static key of the connection
// becomes the device's credential. Idempotent for that key while the code lives.
struct Register {
  std::string phone;
  std::string code;
  std::uint32_t registration_id = 0;  // 1..16380, random
  Bytes identity_key;
  SignedPrekey signed_prekey;
  std::vector<OneTimePrekey> one_time_prekeys;
  KemPrekey last_resort_prekey;
  std::vector<KemPrekey> kem_prekeys;
  static void fields(auto& m, auto& field) {
    field(1, m.phone, 16);
    field(2, m.code, 6);
    field(3, m.registration_id);
    field(4, m.identity_key, kMaxPublicKey);
    field(5, m.signed_prekey);
    field(6, m.one_time_prekeys, limits::kPrekeyBatch);
    field(7, m.last_resort_prekey);
    field(8, m.kem_prekeys, limits::kKemPrekeyBatch);
  }
};

struct Registered {
  UserId user;
  DeviceId device;
  static void fields(auto& m, auto& field) {
    field(1, m.user);
    field(2, m.device);
  }
};

// ---- a device's own connection

// What a device has left on the server, of its one-time prekeys.
struct PrekeyStock {
  std::uint32_t left = 0;
  std::uint32_t kem_left = 0;
  static void fields(auto& m, auto& field) {
    field(1, m.left);
    field(2, m.kem_left);
  }
};

// Binds the connection to a device; a second connection of the same device ends the first. The
// server erases everything up to `after`, then delivers what follows.
struct Attach {
  UserId user;
  DeviceId device;
  Sequence after;
  static void fields(auto& m, auto& field) {
    field(1, m.user);
    field(2, m.device);
    field(3, m.after);
  }
};

struct Attached {
  Instant server_time;
  PrekeyStock prekeys;  // the device keeps them topped up
  static void fields(auto& m, auto& field) {
    field(1, m.server_time);
    field(2, m.prekeys);
  }
};

// Repeats the device's cursor, in case an Ack was lost with a connection.
struct Ping {
  Sequence after;
  static void fields(auto& m, auto& field) { field(1, m.after); }
};

// ---- sealed sender (crypto/sender_certificate.h)

// Opens an account for those who write without saying who they are. Derived from a key that its
// owner gives to contacts inside the encryption (client/sealing.h).
using AccessKey = ByteArray<16>;

// Whoever shows `access` may write to this account from now on without a name; no key shown before
// it does any more. Asks for a certificate for this device.
struct Certify {
  AccessKey access{};
  static void fields(auto& m, auto& field) { field(1, m.access); }
};

struct Certified {
  Bytes certificate;  // crypto::SenderCertificate
  Bytes trust_root;  // the public key that all certificates of this server go back to
  static void fields(auto& m, auto& field) {
    field(1, m.certificate, limits::kMaxCertificate);
    field(2, m.trust_root, kMaxPublicKey);
  }
};

// ---- finding people

struct Lookup {
  std::string phone;
  static void fields(auto& m, auto& field) { field(1, m.phone, 16); }
};

struct LookedUp {
  UserId user;
  static void fields(auto& m, auto& field) { field(1, m.user); }
};

struct FetchBundles {
  UserId user;
  std::vector<DeviceId> devices;  // empty: all of them
  static void fields(auto& m, auto& field) {
    field(1, m.user);
    field(2, m.devices, limits::kMaxDevices);
  }
};

struct Bundles {
  std::vector<Bundle> devices;
  static void fields(auto& m, auto& field) { field(1, m.devices, limits::kMaxDevices); }
};

// Idempotent: keys whose ids are known are left alone. A signed and a last-resort prekey replace
// the current ones. With `replace` the one-time prekeys that are left are given up: the device has
// lost their private halves.
struct UploadPrekeys {
  std::optional<SignedPrekey> signed_prekey;
  std::vector<OneTimePrekey> one_time_prekeys;
  std::optional<KemPrekey> last_resort_prekey;
  std::vector<KemPrekey> kem_prekeys;
  bool replace = false;
  static void fields(auto& m, auto& field) {
    field(1, m.signed_prekey);
    field(2, m.one_time_prekeys, limits::kPrekeyBatch);
    field(3, m.last_resort_prekey);
    field(4, m.kem_prekeys, limits::kKemPrekeyBatch);
    field(5, m.replace);
  }
};

// ---- messages

// The outer type of a ciphertext (PROTOCOLS 2.7). A sealed one holds its inner type and sender.
enum class CiphertextType : std::uint8_t {
  kWhisper = 2,
  kPrekey = 3,
  kSealed = 6,
  kSenderKey = 7,
  kPlain = 8,
  kGroupChange = 9
};

// One ciphertext for one device.
struct Parcel {
  EnvelopeId id;  // made by the sender, the same on every retry: the key of de-duplication
  DeviceId device;
  std::uint32_t registration_id = 0;  // of the device that the ciphertext was made for
  CiphertextType type{};
  Bytes ciphertext;
  static void fields(auto& m, auto& field) {
    field(1, m.id);
    field(2, m.device);
    field(3, m.registration_id);
    field(4, m.type);
    field(5, m.ciphertext, limits::kMaxCiphertext);
  }
};

// One message: a parcel for each device of the recipient, no more and no fewer, in ascending order
// of device. To the own account: for each device but the one that sends.
struct Outgoing {
  std::vector<Parcel> parcels;
  static void fields(auto& m, auto& field) { field(1, m.parcels, limits::kMaxDevices); }
};

// A batch for one user, accepted as a whole or refused as a whole. A client has at most one batch
// to a user under way, which is all it takes to keep a sender's order through every failure.
// kConflict: the parcels do not match the user's devices; the error names the present ones.
//
// On a connection that no device is attached to, `access` is shown instead of a name, all parcels
// are kSealed, and what is stored names nobody. kForbidden: it is not the user's access key.
//
// A `courtesy` leaves room for what is not: kFull comes earlier, and it is not urgent to repeat it.
struct Submit {
  UserId to;
  std::vector<Outgoing> messages;
  AccessKey access{};
  bool courtesy = false;
  static void fields(auto& m, auto& field) {
    field(1, m.to);
    field(2, m.messages, limits::kMaxBatchMessages);
    field(3, m.access);
    field(4, m.courtesy);
  }
};

// Something that is worth nothing later, e.g. that somebody is typing: dropped silently wherever it
// cannot be passed on at once. Without an attached device as Submit.
struct Hint {
  UserId to;
  Outgoing message;
  AccessKey access{};
  static void fields(auto& m, auto& field) {
    field(1, m.to);
    field(2, m.message);
    field(3, m.access);
  }
};

// ---- groups (proto/group_state.h has their states and who may change them)

// A SignedTransition that follows the group's present state. kConflict: it does not, any more;
// kForbidden: the state does not allow it. The first one creates the group.
struct ChangeGroup {
  GroupId group;
  Bytes transition;
  static void fields(auto& m, auto& field) {
    field(1, m.group);
    field(2, m.transition, limits::kMaxTransition);
  }
};

// How the group came from version `after` to what it is. Members get what they miss; from 0 on it
// starts with the oldest state kept. Others get the head, to join by a link.
struct FetchGroup {
  GroupId group;
  std::uint64_t after = 0;
  static void fields(auto& m, auto& field) {
    field(1, m.group);
    field(2, m.after);
  }
};

struct GroupHistory {
  std::uint64_t version = 0;  // the present one
  ByteArray<32> digest{};  // of the present state
  Bytes base;  // a GroupState; only where the transitions after `after` are gone
  std::vector<Bytes> transitions;  // the next ones, as signed; not all when there are many
  static void fields(auto& m, auto& field) {
    field(1, m.version);
    field(2, m.digest);
    field(3, m.base, limits::kMaxGroupState);
    field(4, m.transitions, limits::kGroupHistoryPage);
  }
};

// One ciphertext for every member's devices but the one that sends.
struct GroupMessage {
  EnvelopeId id;
  Bytes ciphertext;
  static void fields(auto& m, auto& field) {
    field(1, m.id);
    field(2, m.ciphertext, limits::kMaxCiphertext);
  }
};

// As Submit: at most one under way per sender and group, accepted or refused as a whole. kConflict:
// the group has another version by now: who is in it must be learned before anything is encrypted.
struct SubmitGroup {
  GroupId group;
  std::uint64_t version = 0;
  std::vector<GroupMessage> messages;
  static void fields(auto& m, auto& field) {
    field(1, m.group);
    field(2, m.version);
    field(3, m.messages, limits::kMaxBatchMessages);
  }
};

struct DeviceState {
  DeviceId device;
  std::uint32_t registration_id = 0;
  static void fields(auto& m, auto& field) {
    field(1, m.device);
    field(2, m.registration_id);
  }
};

struct ErrorBody {
  Code code{};
  std::string text;  // says what to do; for people and logs, not for programs
  Duration retry_after;  // kRateLimited, kFull, kUnavailable: do not repeat earlier
  std::vector<DeviceState> devices;  // kConflict of a Submit: the recipient's devices now
  static void fields(auto& m, auto& field) {
    field(1, m.code);
    field(2, m.text, 256);
    field(3, m.retry_after);
    field(4, m.devices, limits::kMaxDevices);
  }
};

// A parcel on its way to its device, as the mailbox keeps it.
struct Envelope {
  EnvelopeId id;
  UserId from;  // nil, with from_device 0: sealed; only the recipient learns who it was
  DeviceId from_device;
  CiphertextType type{};
  Bytes ciphertext;
  Instant accepted;  // the server's clock, when it accepted the parcel
  static void fields(auto& m, auto& field) {
    field(1, m.id);
    field(2, m.from);
    field(3, m.from_device);
    field(4, m.type);
    field(5, m.ciphertext, limits::kMaxCiphertext);
    field(6, m.accepted);
  }
};

struct Delivery {
  Sequence sequence;
  Envelope envelope;
  static void fields(auto& m, auto& field) {
    field(1, m.sequence);
    field(2, m.envelope);
  }
};

// In ascending sequence; nothing is skipped within a connection.
struct Deliver {
  std::vector<Delivery> deliveries;
  static void fields(auto& m, auto& field) { field(1, m.deliveries, limits::kDeliverWindow); }
};

struct Ack {
  Sequence up_to;  // cumulative
  static void fields(auto& m, auto& field) { field(1, m.up_to); }
};

struct Closing {
  Code code{};
  std::string text;
  Duration retry_after;
  static void fields(auto& m, auto& field) {
    field(1, m.code);
    field(2, m.text, 256);
    field(3, m.retry_after);
  }
};

}  // namespace godwit::proto
