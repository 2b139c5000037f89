// Rows: how the engine's state lies in the store. Keys start with a tag octet, so that one space
// holds several kinds and loads in one scan.
//
//   kProfile  'P' ProfileRow · 'I' own identity · 'K' KeyCounters · 'L' Ledger
//             'S' id SignedPrekeyRow · 'O' id one-time prekey · 'Q' id one-time Kyber prekey
//             'U' a KyberUse of a last-resort prekey
//   kContact  'C' user ContactRow · 'U' chat order UnreadRow · 'T' user chunk recent contents
//   kSession  user device -> e2e::Session
//   kOutbox   'Q' order Item · 'A' order Awaited · 'R' order Sent · 'H' user order RetryRequest
//   kMessage  chat order Message · chat order 's' Progress (what changed since it was written)
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
  static void fields(auto& m, auto& field) {
    field(1, m.cursor);
    field(2, m.next_order);
  }
};

struct ContactRow {
  Contact contact;
  bool unconfirmed = false;     // the directory could not be asked for the number yet
  std::uint64_t accepted = 0;   // contents for this person that the server has taken
  DeliveryWindow window;        // contents from this person
  static void fields(auto& m, auto& field) {
    field(1, m.contact.user);
    field(2, m.contact.phone, 16);
    field(3, m.contact.identity_key, 33);
    field(4, m.contact.new_identity_key, 33);
    field(5, m.contact.verified);
    field(6, m.unconfirmed);
    field(7, m.accepted);
    field(8, m.window);
  }
};

// Messages of one delivery batch that nobody has read.
struct UnreadRow {
  std::vector<MessageId> ids;
  static void fields(auto& m, auto& field) { field(1, m.ids, limits::kDeliverWindow); }
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
  std::optional<GroupKey> group_key;
  Status seen{};  // a receipt overtook the server's answer
  static void fields(auto& m, auto& field) {
    field(1, m.id);
    field(2, m.to);
    field(3, m.phone, 16);
    field(4, m.composed);
    field(5, m.text);
    field(6, m.receipt);
    field(7, m.seen);
    field(40, m.group_key);
  }
  // Said by the device, not by its owner: nobody confirms it.
  bool is_notice() const { return receipt || group_key; }
};

// A content that the server has taken, until it is confirmed (sent_log.h).
struct Sent {
  Item item;
  std::uint32_t stream = 0;
  std::uint64_t number = 0;
  std::vector<proto::DeviceState> devices;  // that it went to and that have not confirmed it
  Bytes identity;                           // the key that it was encrypted for
  Instant accepted;                         // the last time
  std::uint32_t repeats = 0;                // so far, the one that is due included
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
  static void fields(auto& m, auto& field) {
    field(1, m.id);
    field(2, m.chat);
    field(3, m.status);
    field(4, m.accepted);
  }
};

// Overrides the fields of the Message row that it follows.
struct Progress {
  Status status{};
  Instant received;
  std::string failure;
  static void fields(auto& m, auto& field) {
    field(1, m.status);
    field(2, m.received);
    field(3, m.failure, 256);
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

inline constexpr std::size_t kMessageKey =
    kChatKey + 8;  // octets of a message's key; Progress has one more

}  // namespace godwit::client
