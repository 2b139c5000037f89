// The client's nouns as programs and people see them: profiles, contacts, messages, events.
#pragma once

#include <string>
#include <variant>

#include "base/codec.h"
#include "base/id.h"
#include "base/limits.h"
#include "base/result.h"
#include "base/time.h"

namespace godwit::client {

using RequestId = std::uint64_t;

struct Profile {
  std::string phone;  // E.164
  UserId user;
  DeviceId device;
  Instant registered;
};

struct Contact {
  UserId user;
  std::string phone;   // confirmed by the directory; empty while it is not
  Bytes identity_key;  // 33 octets; empty before the first session
  bool verified = false;
  // Another key was seen for this verified person. Messages to them wait, as kQueued, until
  // Engine::set_verified() accepts the new key; theirs are shown meanwhile.
  Bytes new_identity_key;
};

// True for E.164: '+' and 7 to 15 digits.
bool is_phone(std::string_view text);

struct SafetyNumber {
  std::string digits;  // 60, in groups of five separated by a space
  Bytes qr;            // scannable payload
  bool verified = false;
};

enum class Direction : std::uint8_t { kIn = 1, kOut = 2 };

// Only ever moves forward.
enum class Status : std::uint8_t {
  kQueued = 1,     // composed; the server does not have it
  kSent = 2,       // the server has stored it
  kDelivered = 3,  // a device of the recipient has stored it
  kRead = 4,
  kFailed = 9,     // refused for good; `failure` says why
};
std::string_view status_name(Status status);  // "queued" "sent" "delivered" "read" "failed"

// A message of the history, as stored.
struct Message {
  MessageId id;
  UserId chat;        // the other person
  std::string phone;  // theirs
  Direction direction = Direction::kIn;
  Status status = Status::kQueued;
  Instant composed;   // the sender's clock
  Instant received;   // the server's clock (in) or when it was accepted (out)
  std::string text;
  std::string failure;
  bool late = false;  // in: newer ones of its sender came before; shown where it arrived
  static void fields(auto& m, auto& field) {
    field(1, m.id);
    field(2, m.chat);
    field(3, m.phone, 32);
    field(4, m.direction);
    field(5, m.status);
    field(6, m.composed);
    field(7, m.received);
    field(8, m.text, limits::kMaxText);
    field(9, m.failure, 256);
    field(10, m.late);
  }
};

// Counted since the engine was loaded.
struct EngineCounters {
  std::uint64_t undecryptable = 0;  // deliveries that could not be read, acknowledged and dropped
  std::uint64_t duplicates = 0;  // deliveries that were repetitions
  std::uint64_t unknown = 0;  // contents of a kind that only a newer version knows
  std::uint64_t requested = 0;  // deliveries that their sender was asked to repeat
  std::uint64_t repeated = 0;  // own contents that were to be sent again
  std::uint64_t sessions_reset = 0;  // left because one side or the other lost its state
};

// ---- events

struct MessageReceived {
  Message message;
};
// One of my messages advanced: accepted by the server, or a receipt of `from` came.
struct StatusChanged {
  MessageId id;
  UserId chat;
  std::string phone;
  Status status{};
  std::string failure;  // kFailed only
};
struct CodeRequested {
  RequestId request{};
};
struct Registered {
  RequestId request{};
};
// A command that waited for the server was refused.
struct Failed {
  RequestId request{};
  Code code{};
  std::string text;
  Duration retry_after;
};
// Somebody's identity key is another one than before: a new phone, or somebody in between.
struct IdentityChanged {
  UserId chat;
  std::string phone;
};
// Somebody composes a message to me, or stopped. Unsaid after limits::kTypingFades.
struct TypingChanged {
  UserId chat;
  std::string phone;
  bool active = false;
};
struct ConnectionChanged {
  bool online = false;
  std::string reason;  // why it went, in words; empty when online
};
using Event = std::variant<MessageReceived, StatusChanged, CodeRequested, Registered, Failed,
                           IdentityChanged, TypingChanged, ConnectionChanged>;

}  // namespace godwit::client
