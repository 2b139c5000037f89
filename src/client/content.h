// Content: what one ciphertext says. Only the two devices ever see it.
//
// Padded before encryption, so that a ciphertext's length tells its length in steps of kPadding.
#pragma once

#include <optional>

#include "client/group_rows.h"

namespace godwit::client {

struct Text {
  std::string body;  // UTF-8
  Extras extras;
  static void fields(auto& m, auto& field) {
    field(1, m.body, limits::kMaxText);
    field(2, m.extras);
  }
};

// Tells the sender how far its messages came. Never answered by another receipt.
struct Receipt {
  static constexpr std::size_t kMaxIds = limits::kDeliverWindow;
  Status status{};  // kDelivered or kRead
  std::vector<MessageId> ids;
  static void fields(auto& m, auto& field) {
    field(1, m.status);
    field(2, m.ids, kMaxIds);
  }
};

// Whether the sender is composing right now. Travels as a hint (proto::Kind::kHint), so it has no
// number, and is worth nothing a few seconds later.
struct Typing {
  std::uint8_t active = 0;
  static void fields(auto& m, auto& field) { field(1, m.active); }
};

// What was said to a group, told again to one member who could not read it.
struct GroupSaid {
  GroupId group;
  std::uint64_t version = 0;  // of the group, when it was said
  MessageId id;
  Instant composed;
  std::optional<Text> text;  // one of the two
  std::optional<Act> act;
  static void fields(auto& m, auto& field) {
    field(1, m.group);
    field(2, m.version);
    field(3, m.id);
    field(4, m.composed);
    field(5, m.text);
    field(6, m.act);
  }
};
// What a device may believe its sender to have meant: text or act, whole, with an id and a time.
bool well_formed(const GroupSaid& said);

struct Content {
  MessageId id;
  Instant composed;
  std::string sender_phone;  // a claim, until the directory confirms it
  // The sender's count of contents for this recipient (delivery_window.h); `stream` changes when
  // the sender registers anew.
  std::uint32_t stream = 0;
  std::uint64_t number = 0;
  GroupId group;  // that it belongs to; nil: it is between the two
  std::optional<Text> text;  // exactly one of these; neither: made by a newer version
  std::optional<Receipt> receipt;
  std::optional<Typing> typing;
  std::optional<Act> act;
  std::optional<GroupKey> group_key;
  std::uint64_t group_version = 0;  // of `group`: the one that it was encrypted for
  std::optional<GroupSaid> repeat;
  Bytes profile_key;  // the sender's (sealing.h); in all that its person says
  static void fields(auto& m, auto& field) {
    field(1, m.id);
    field(2, m.composed);
    field(3, m.sender_phone, 16);
    field(4, m.stream);
    field(5, m.number);
    field(6, m.text);
    field(7, m.receipt);
    field(8, m.typing);
    field(9, m.group);
    field(10, m.act);
    field(40, m.group_key);
    field(41, m.group_version);
    field(42, m.repeat);
    field(50, m.profile_key, 32);
  }
};

// Every text in it is UTF-8, and whatever is counted is there.
bool well_formed(const Extras& extras);
bool well_formed(const Act& act);

inline constexpr std::size_t kPadding = 160;

// Content || 0x80 || zeros up to a multiple of kPadding.
Bytes seal_content(const Content& content);
// kCorrupt: not such octets.
Result<Content> open_content(ByteView padded);

}  // namespace godwit::client
