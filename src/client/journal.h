// Journal: writes the history's messages, and what is done to them: reactions, votes, edits,
// deletions, the end of their time.
//
// It never reads: what was done to a message lies in rows that begin with its chat and id, and the
// reader joins them (history.h). So a reaction that comes twice, too late or before its message
// needs no care: of one person's reactions to a message the highest revision counts. Edits and
// deletions do: they are obeyed only when they are of the message's writer (deletions also when
// they are of the group's admin) and in time, so messages young enough are remembered here, at most
// limits::kTargets; what comes before its message waits, at most limits::kWaitingActs.
//
// What is erased is erased from every row: the text, what was done to it, its words in the index.
#pragma once

#include <map>
#include <set>
#include <utility>

#include "client/chats.h"
#include "client/receipts.h"
#include "client/sent_log.h"

namespace godwit::client {

// What somebody may do in a chat besides writing.
struct Rights {
  bool edits = true;  // pin; say how long messages last
  bool moderates = false;  // delete what others wrote
};

class Journal {
 public:
  Journal(Chats& chats, Receipts& receipts, SentLog& sent)
      : chats_(chats), receipts_(receipts), sent_(sent) {}

  // Writes a message. If it was edited or deleted before it came, `message` is what is left.
  void add(Message& message, std::uint64_t order, Turn& turn);
  // Does what `act` says, if its composer may. `from` nil: this account. False: nothing happened
  // that anybody need know.
  bool apply(ChatId chat, UserId from, Rights rights, Instant composed, const Act& act, Turn& turn);
  // Why this account may not do it now; empty when it may.
  std::string_view refusal(ChatId chat, const Act& act, Rights rights, Instant now) const;
  bool deleted(ChatId chat, MessageId id) const;
  // Not everybody may do it: who does it in a group waits for the group's order.
  bool needs_rights(ChatId chat, const Act& act) const;

  // Its time starts; 0: it has none.
  void start_lifetime(ChatId chat, std::uint64_t order, MessageId id, Duration lifetime,
                      Turn& turn);
  // Erases it here.
  void erase(ChatId chat, std::uint64_t order, MessageId id, Turn& turn);
  // Erases what a view-once message showed; nobody sees it here again.
  void empty_once(Message message, Turn& turn);
  void star(ChatId chat, MessageId id, bool on, Turn& turn);
  // Erases what is over.
  void on_tick(Turn& turn);
  Instant deadline() const;

  void load(Target target);
  void load(std::uint64_t order, WaitingAct waiting);
  void load(Instant at, std::uint64_t order, Fading fading);
  void store_all(ports::Batch& batch) const;

 private:
  using Name = std::pair<ChatId, MessageId>;
  void write(const Message& message, std::uint64_t order, Turn& turn);
  bool change(Target& target, const Act& act, Turn& turn);
  bool in_time(const Target& target, const Act& act, Instant composed, Duration tolerance) const;
  void wait(WaitingAct waiting, Turn& turn);
  void forget_target(std::uint64_t order, Turn& turn);

  Chats& chats_;
  Receipts& receipts_;
  SentLog& sent_;
  std::map<std::uint64_t, Target> targets_;  // by order
  std::map<Name, std::uint64_t> by_name_;
  std::map<std::uint64_t, WaitingAct> waiting_;
  std::uint64_t next_waiting_ = 1;
  std::map<std::pair<Instant, std::uint64_t>, Fading> fading_;
};

}  // namespace godwit::client
