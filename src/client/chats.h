// Chats: what this account has settled about each chat (archive, mute, draft, how long messages
// last, what is pinned), and which received messages are unread.
//
// Unread is what lies behind a marker that only grows: reading twice, or hearing of an older
// reading later, changes nothing, and nothing is counted up and down. Of a chat's unread messages
// at most limits::kUnreadPerChat are remembered.
#pragma once

#include <map>

#include "client/turn.h"

namespace godwit::client {

class Chats {
 public:
  // What holds for a chat that nothing was settled about.
  const ChatRow& of(ChatId chat) const;
  std::vector<ChatId> list() const;
  void set_archived(ChatId chat, bool archived, Turn& turn);
  void set_muted_until(ChatId chat, Instant until, Turn& turn);
  void set_draft(ChatId chat, std::string draft, Turn& turn);
  // From a message that sets it. The latest by the composers' clocks holds; false: an older one.
  bool set_lifetime(ChatId chat, Duration lifetime, Instant composed, Turn& turn);
  // The latest revision holds. Of what is pinned the latest limits::kPins show: nothing is taken
  // off because another was pinned, so that the order in which both are told of it does not matter.
  void pin(ChatId chat, MessageId id, std::uint64_t revision, bool on, Turn& turn);
  std::vector<MessageId> pins(ChatId chat) const;

  void add_unread(ChatId chat, std::vector<Unread> messages, Turn& turn);
  std::size_t unread(ChatId chat) const;
  // Those of them that mention this account.
  std::size_t mentions(ChatId chat) const;
  std::vector<ChatId> unread_chats() const;
  // The order behind which messages are unread.
  std::uint64_t read_up_to(ChatId chat) const { return of(chat).read_up_to; }
  // Moves the marker to `up_to`. What was unread before it, oldest first.
  std::vector<Unread> read(ChatId chat, std::uint64_t up_to, Turn& turn);
  // It is not there any more, read or not.
  void forget(ChatId chat, std::uint64_t order, Turn& turn);

  void load(ChatId chat, ChatRow row);
  void load(ChatId chat, std::uint64_t first, UnreadRow row);
  void store_all(ports::Batch& batch) const;

 private:
  using Batches = std::map<std::uint64_t, UnreadRow>;  // by the order of their first message
  void store(ChatId chat, Turn& turn);

  std::map<ChatId, ChatRow> rows_;
  std::map<ChatId, Batches> unread_;  // never an empty one
};

}  // namespace godwit::client
