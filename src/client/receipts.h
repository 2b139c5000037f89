// Receipts: how far own messages came (sent, delivered, read), and when.
//
// Statuses only move forward. Remembers at most limits::kAwaitedReceipts own messages; the
// oldest are let go. A group's members are written down one by one, and how far the message came
// with all of them is the reader's to say (history.h): so nothing of that lies in memory.
#pragma once

#include <map>

#include "client/contacts.h"

namespace godwit::client {

class Receipts {
 public:
  // An own message was accepted; `seen` is the status that a receipt already told, if any.
  void await(const Item& item, const ContactRow& chat, Turn& turn);
  // An own message leaves for these members of a group; again, when the server did not answer.
  void await_group(const Item& item, GroupId group, Audience audience, Turn& turn);
  // The group has it, or (`failure`) will not.
  void settle_group(const Item& item, GroupId group, std::string failure, Turn& turn);
  // Stores and tells an own message's new status.
  static void advance(const Item& item, const ContactRow& chat, Status status, std::string failure,
                      Turn& turn);
  // A receipt of `from` came. Nothing happens unless it moves an own message to `from` forward.
  void apply(const ContactRow& from, MessageId id, Status status, Turn& turn);
  void forget(std::uint64_t order, Turn& turn);
  bool awaits(MessageId id) const { return by_id_.contains(id); }

  void load(std::uint64_t order, const Awaited& awaited);
  void store_all(ports::Batch& batch) const;

 private:
  using Entries = std::map<std::uint64_t, Awaited>;  // by order of composing
  void let_go(Entries::iterator which, Turn& turn);

  Entries awaited_;
  std::map<MessageId, std::uint64_t> by_id_;
};

}  // namespace godwit::client
