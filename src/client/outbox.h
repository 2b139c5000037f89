// Outbox: what this device has said and the server has not taken yet, one queue per person, oldest
// first. Holds plaintext only, never ciphertext: a retry encrypts anew.
//
// Invariants:
//   * a person's queue is taken from its front, so the number of its n-th content is what the
//     server has accepted so far plus n: the same on every retry, also after a restart;
//   * an item leaves together with the count of what was accepted, in one Commit.
#pragma once

#include <deque>
#include <set>

#include "client/journal.h"
#include "client/receipts.h"
#include "client/sent_log.h"

namespace godwit::client {

class Outbox {
 public:
  using Queue = std::deque<Item>;

  Outbox(Contacts& contacts, Receipts& receipts, SentLog& sent, Journal& journal, Ledger& ledger)
      : contacts_(contacts), receipts_(receipts), sent_(sent), journal_(journal), ledger_(ledger) {}

  // Queues a text; `contact` is null while the number is not known to belong to anybody.
  // kFull: limits::kOutboxMessages or kOutboxBytes are queued.
  Result<MessageId> add_text(std::string_view phone, const ContactRow* contact, Text text,
                             Turn& turn);
  // Queues what was done to a message of the chat with them, or of a group's chat that only they
  // are told of. kFull: as above.
  Result<void> add_act(UserId to, GroupId group, const Act& act, Turn& turn);
  // Queues a receipt; in a group, waits up to `within` for others that it can go with. Dropped when
  // too many wait for this person already: receipts are a courtesy.
  void add_receipt(UserId to, GroupId group, Duration within, Receipt receipt, Turn& turn);

  // These two reach the device of this identity, or nobody.
  void add_group_key(UserId to, GroupKey key, Bytes identity, Turn& turn);
  // Tells one member again what they could not read of a group.
  void add_repeat(UserId to, const GroupSaid& said, Bytes identity, Turn& turn);
  // What this account says to `user` about the group is still on its way.
  bool carries_key(UserId user, GroupId group) const;

  // The directory says whom `phone` belongs to: its items join that person's queue, at the end.
  void resolve(const std::string& phone, const ContactRow& contact, Turn& turn);
  // Nobody: its items fail.
  void fail_unresolved(const std::string& phone, Turn& turn);
  bool waits_for(const std::string& phone) const { return unresolved_.contains(phone); }

  // Something is queued for `user`, and not only what gathers.
  bool urgent(UserId user) const { return queues_.contains(user) && !gathering_.contains(user); }
  // Those whose receipts have gathered for long enough.
  std::vector<UserId> take_gathered(Instant now);
  void on_clock_set_back();
  Instant deadline() const { return gathered_.empty() ? kNever : gathered_.begin()->first; }

  // Empty when nothing is queued for `user`.
  const Queue& queue(UserId user) const;
  // The server took the first `count` items for `user`: they go to the log, as sent in the way that
  // `how` says but for their numbers.
  void accept(UserId user, std::size_t count, const Sent& how, Turn& turn);
  // The first `count` items were refused for good.
  void reject(UserId user, std::size_t count, const std::string& failure, Turn& turn);
  // There was no room for the first `count` items, receipts all: they go with later ones.
  void put_off(UserId user, std::size_t count, Turn& turn);
  // A receipt of `from`: for an accepted message, or one whose acceptance has not been heard of.
  void apply_receipt(const ContactRow& from, DeviceId device, const Receipt& receipt, Turn& turn);

  bool empty() const { return queues_.empty() && unresolved_.empty(); }
  std::size_t texts() const { return texts_; }
  std::vector<UserId> users() const;
  std::vector<std::string> unresolved() const;

  void load(Item item);
  void store_all(ports::Batch& batch) const;

 private:
  std::uint64_t take_order(Turn& turn);
  void record(const Item& item, const ContactRow& contact, Turn& turn);
  void pop(UserId user, std::size_t count, Turn& turn);
  void drop(const Item& item, Turn& turn);
  void start_lifetime(const Item& item, Turn& turn);
  void gather(UserId to, Instant until);
  void end_gathering(UserId to);
  bool join_gathered(UserId to, GroupId group, const Receipt& receipt, Turn& turn);

  Contacts& contacts_;
  Receipts& receipts_;
  SentLog& sent_;
  Journal& journal_;
  Ledger& ledger_;
  std::map<UserId, Queue> queues_;  // never an empty queue
  std::map<std::string, Queue> unresolved_;  // by number
  // For whom nothing is queued but receipts about groups, none of which was ever sent: more may be
  // put into them. Until when. Forgotten with a restart: then they go at once.
  std::map<UserId, Instant> gathering_;
  std::set<std::pair<Instant, UserId>> gathered_;  // the same by time
  std::size_t texts_ = 0;  // and what was done to some
  std::size_t octets_ = 0;  // of these
};

}  // namespace godwit::client
