// Rows: how the engine's state lies in the store. Keys start with a tag octet, so that one space
// holds several kinds and loads in one scan.
//
//   kProfile  'P' ProfileRow · 'I' own identity · 'K' KeyCounters · 'L' Ledger
//             'S' id SignedPrekeyRow · 'O' id one-time prekey · 'Q' id one-time Kyber prekey
//             'X' SettingsRow · 'U' a KyberUse of a last-resort prekey · 'Z' SealingRow
//   kContact  'C' user ContactRow · 'U' chat order UnreadRow · 'T' user chunk recent contents
//   kSession  user device -> e2e::Session
//             'M' chat ChatRow · 'B' name BroadcastList · 'W' order WaitingAct
//   kOutbox   'Q' order Item · 'A' order Awaited · 'R' order Sent · 'H' user order RetryRequest
//             'M' order Target · 'F' time order Fading
//   kMessage  chat order Message · chat order 's' Progress (what changed since it was written)
//             0xFF id chat order: finds a message by its id
//   kAct      chat id 'r' who revision emoji · 'v' who revision choices · 'e' who Act
//             'o' who: opened · 's': starred   (by the message's id; the last revision counts)
//             'x' who, 'y' who: delivered and read, when · 'z' Audience   (own ones in groups)
//   kSearch   chat order folded text
#pragma once

#include "client/content.h"
#include "client/delivery_window.h"
#include "client/types.h"
#include "ports/store.h"
#include "proto/messages.h"

namespace godwit::client {

struct SessionKey {
  UserId user;
  DeviceId device;
  auto operator<=>(const SessionKey&) const = default;
};

struct ProfileRow {
  std::string phone;
  UserId user;  // nil while the registration is pending
  DeviceId device;
  Instant registered;
  std::uint32_t stream = 0;
  static void fields(auto& m, auto& field) {
    field(1, m.phone, 16);
    field(2, m.user);
    field(3, m.device);
    field(4, m.registered);
    field(5, m.stream);
  }
};

// The ids that come next. Kept apart from the keys, so that no id is used twice.
struct KeyCounters {
  std::uint32_t next_signed = 1;
  std::uint32_t next_one_time = 1;
  std::uint32_t next_kyber = 1;
  static void fields(auto& m, auto& field) {
    field(1, m.next_signed);
    field(2, m.next_one_time);
    field(3, m.next_kyber);
  }
};

// A signed prekey and the last-resort Kyber prekey of the same time: they are rotated together.
struct SignedPrekeyRow {
  Bytes record;
  Bytes last_resort;
  Instant made;
  bool uploaded = false;
  static void fields(auto& m, auto& field) {
    field(1, m.record, 1024);
    field(2, m.made);
    field(3, m.uploaded);
    field(4, m.last_resort, 1024);
  }
};

struct Ledger {
  Sequence cursor;               // the last delivery that was processed
  std::uint64_t next_order = 1;  // of items and messages: never used twice
  std::uint64_t revision = 0;    // of the last act
  static void fields(auto& m, auto& field) {
    field(1, m.cursor);
    field(2, m.next_order);
    field(3, m.revision);
  }
};

// Of sealed sender (sealing.h).
struct SealingRow {
  Bytes profile_key;
  Bytes certificate, trust_root;
  static void fields(auto& m, auto& field) {
    field(1, m.profile_key, 32);
    field(2, m.certificate, limits::kMaxCertificate);
    field(3, m.trust_root, proto::kMaxPublicKey);
  }
};

struct ContactRow {
  Contact contact;
  bool unconfirmed = false;     // the directory could not be asked for the number yet
  std::uint64_t accepted = 0;   // contents for this person that the server has taken
  DeliveryWindow window;        // contents from this person
  Bytes profile_key;            // theirs; empty: they are written to with a name
  static void fields(auto& m, auto& field) {
    field(1, m.contact.user);
    field(2, m.contact.phone, 16);
    field(3, m.contact.identity_key, 33);
    field(4, m.contact.new_identity_key, 33);
    field(5, m.contact.verified);
    field(6, m.unconfirmed);
    field(7, m.accepted);
    field(8, m.window);
    field(50, m.profile_key, 32);
  }
};

// A received message that was not read yet.
struct Unread {
  std::uint64_t order = 0;
  MessageId id;
  Duration lifetime;  // from when it is read
  UserId from;
  bool mentions = false;  // this account
  static void fields(auto& m, auto& field) {
    field(1, m.order);
    field(2, m.id);
    field(3, m.lifetime);
    field(4, m.from);
    field(5, m.mentions);
  }
};
// Those of one delivery batch.
struct UnreadRow {
  std::vector<Unread> messages;  // by order
  static void fields(auto& m, auto& field) { field(1, m.messages, limits::kDeliverWindow); }
};

// What this account has settled about one chat.
struct ChatRow {
  bool archived = false;
  Instant muted_until;
  std::string draft;
  Duration lifetime;               // of what is sent from now on
  std::uint64_t lifetime_set = 0;  // when, by the clock of who set it
  struct Pin {
    MessageId id;
    std::uint64_t revision = 0;
    bool on = false;
    static void fields(auto& m, auto& field) {
      field(1, m.id);
      field(2, m.revision);
      field(3, m.on);
    }
  };
  std::vector<Pin> pins;        // by revision; also the last ones that were taken off
  std::uint64_t read_up_to = 0;  // the order of the last message that was read; only grows
  static void fields(auto& m, auto& field) {
    field(1, m.archived);
    field(2, m.muted_until);
    field(3, m.draft, limits::kMaxText);
    field(4, m.lifetime);
    field(5, m.lifetime_set);
    field(6, m.pins, 4 * limits::kPins);
    field(7, m.read_up_to);
  }
};

// A message that its writer may still change: who wrote it, and where it lies.
struct Target {
  std::uint64_t order = 0;  // in the key
  MessageId id;
  ChatId chat;
  UserId from;  // nil: this account
  Instant composed;
  std::uint64_t edited = 0;  // the revision of the last edit
  bool deleted = false;
  static void fields(auto& m, auto& field) {
    field(1, m.id);
    field(2, m.chat);
    field(3, m.from);
    field(4, m.composed);
    field(5, m.edited);
    field(6, m.deleted);
  }
};

// An edit or deletion that came before its message.
struct WaitingAct {
  ChatId chat;
  UserId from;
  Instant composed;
  Act act;
  bool moderates = false;  // it came from an admin of the group
  static void fields(auto& m, auto& field) {
    field(1, m.chat);
    field(2, m.from);
    field(3, m.composed);
    field(4, m.act);
    field(5, m.moderates);
  }
};

// A message that disappears.
struct Fading {
  ChatId chat;
  MessageId id;
  static void fields(auto& m, auto& field) {
    field(1, m.chat);
    field(2, m.id);
  }
};

// The members that an own message of a group was sent to.
struct Audience {
  std::vector<UserId> members;
  static void fields(auto& m, auto& field) { field(1, m.members, limits::kGroupMembers); }
};

// What this account has settled about itself.
struct SettingsRow {
  bool hides_reading = false;  // no read receipts, neither sent nor shown
  static void fields(auto& m, auto& field) { field(1, m.hides_reading); }
};

struct BroadcastList {
  std::string name;
  std::vector<std::string> numbers;
  static void fields(auto& m, auto& field) {
    field(1, m.name, limits::kMaxName);
    field(2, m.numbers, limits::kBroadcastNumbers);
  }
};

// A content that waits for the server to take it. Plaintext: a retry encrypts anew.
struct Item {
  std::uint64_t order = 0;  // in the key
  MessageId id;
  UserId to;          // nil until the directory knows `phone`
  std::string phone;  // only while `to` is nil
  Instant composed;
  std::optional<Text> text;
  std::optional<Receipt> receipt;
  std::optional<Act> act;
  std::optional<GroupKey> group_key;
  std::optional<GroupSaid> repeat;
  Bytes for_identity;  // the two above are for nobody else; empty: anybody
  Status seen{};  // a receipt overtook the server's answer
  GroupId group;  // whose chat it is about, said to one person; nil: the chat with them
  // Exactly one thing is said.
  bool whole() const {
    if (repeat && !well_formed(*repeat)) return false;
    return text.has_value() + receipt.has_value() + act.has_value() + group_key.has_value() +
               repeat.has_value() ==
           1;
  }
  std::size_t octets() const;  // about, and not less than encoded
  static void fields(auto& m, auto& field) {
    field(1, m.id);
    field(2, m.to);
    field(3, m.phone, 16);
    field(4, m.composed);
    field(5, m.text);
    field(6, m.receipt);
    field(7, m.seen);
    field(8, m.act);
    field(9, m.group);
    field(40, m.group_key);
    field(41, m.repeat);
    field(42, m.for_identity, 33);
  }
  // Said by the device, not by its owner: nobody confirms it.
  bool is_notice() const { return receipt || group_key; }
};

// A text as the history shows it while it waits; in no chat yet.
Message message_of(const Item& item);

// A content that the server has taken, until it is confirmed (sent_log.h).
struct Sent {
  Item item;
  std::uint32_t stream = 0;
  std::uint64_t number = 0;
  std::vector<proto::DeviceState> devices;  // that it went to and that have not confirmed it
  Bytes identity;                           // the key that it was encrypted for
  Instant accepted;                         // the last time
  std::uint32_t repeats = 0;                // so far, the one that is due included
  std::uint32_t rounds = 0;                 // of them those that nobody asked for
  std::uint32_t asked = 0;                  // those that were asked for since
  bool due = false;                         // to be sent again
  static void fields(auto& m, auto& field) {
    field(1, m.item);
    field(2, m.stream);
    field(3, m.number);
    field(4, m.devices, limits::kMaxDevices);
    field(5, m.identity, 33);
    field(6, m.accepted);
    field(7, m.repeats);
    field(8, m.due);
    field(9, m.rounds);
    field(10, m.asked);
  }
};

// "I could not read what came in that envelope": waits for the server to take it (healing.h).
struct RetryRequest {
  std::uint64_t order = 0;  // in the key
  DeviceId device;          // the one that sent it
  EnvelopeId about;
  Bytes body;  // e2e/resend.h
  static void fields(auto& m, auto& field) {
    field(1, m.device);
    field(2, m.about);
    field(3, m.body, 256);
  }
};

// An own message that may still advance.
struct Awaited {
  MessageId id;
  ChatId chat;
  Status status{};
  Instant accepted;
  Instant delivered;
  static void fields(auto& m, auto& field) {
    field(1, m.id);
    field(2, m.chat);
    field(3, m.status);
    field(4, m.accepted);
    field(5, m.delivered);
  }
};

// Overrides the fields of the Message row that it follows.
struct Progress {
  Status status{};
  Instant received;
  std::string failure;
  Instant delivered, read;
  static void fields(auto& m, auto& field) {
    field(1, m.status);
    field(2, m.received);
    field(3, m.failure, 256);
    field(4, m.delivered);
    field(5, m.read);
  }
};

// ---- keys

Bytes row_key(char tag);
Bytes row_key(char tag, std::uint32_t id);
Bytes row_key(char tag, std::uint64_t order);
Bytes row_key(char tag, UserId user);
Bytes row_key(char tag, UserId user, std::uint64_t order);
Bytes row_key(char tag, GroupId group);
Bytes row_key(char tag, GroupId group, std::uint64_t order);
Bytes row_key(char tag, ChatId chat, std::uint64_t order);
Bytes session_row_key(SessionKey key);
Bytes message_row_key(ChatId chat, std::uint64_t order);
Bytes progress_row_key(ChatId chat, std::uint64_t order);
Bytes list_row_key(std::string_view name);
Bytes id_row_key(MessageId id, ChatId chat);
// What was done to a message: all of it begins with this.
Bytes act_prefix(ChatId chat, MessageId id);
Bytes act_row_key(ChatId chat, MessageId id, char what);
Bytes act_row_key(ChatId chat, MessageId id, char what, UserId who);
// The key after all that begin with `prefix`.
Bytes after_prefix(Bytes prefix);
inline constexpr std::uint8_t kIdTag = 0xFF;

inline constexpr std::size_t kMessageKey =
    kChatKey + 8;  // octets of a message's key; Progress has one more

}  // namespace godwit::client
