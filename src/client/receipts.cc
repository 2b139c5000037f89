#include "client/receipts.h"

namespace godwit::client {

using ports::Space;

void Receipts::advance(const Item& item, const ContactRow& chat, Status status, std::string failure,
                       Turn& turn) {
  turn.put(Space::kMessage, progress_row_key(item.to, item.order),
           encode(Progress{status, turn.env.now, failure, {}, {}}));
  turn.notify(StatusChanged{item.id, item.to, {}, chat.contact.phone, status, std::move(failure)});
}

void Receipts::await_group(const Item& item, GroupId group, Audience audience, Turn& turn) {
  turn.put(Space::kAct, act_row_key(group, item.id, 'z'), encode(audience));
  if (!by_id_.try_emplace(item.id, item.order).second) return;
  Awaited& awaited = awaited_[item.order] = {item.id, group, Status::kQueued, {}, {}};
  turn.put(Space::kOutbox, row_key('A', item.order), encode(awaited));
  while (awaited_.size() > limits::kAwaitedReceipts) let_go(awaited_.begin(), turn);
}

void Receipts::settle_group(const Item& item, GroupId group, std::string failure, Turn& turn) {
  const Status status = failure.empty() ? Status::kSent : Status::kFailed;
  if (const auto found = awaited_.find(item.order); found != awaited_.end()) {
    found->second.status = status;
    found->second.accepted = turn.env.now;
    if (status == Status::kFailed) let_go(found, turn);
    else turn.put(Space::kOutbox, row_key('A', item.order), encode(found->second));
  }
  turn.put(Space::kMessage, progress_row_key(group, item.order),
           encode(Progress{status, turn.env.now, failure, {}, {}}));
  turn.notify(StatusChanged{item.id, group, {}, {}, status, std::move(failure)});
}

void Receipts::let_go(Entries::iterator which, Turn& turn) {
  turn.erase(Space::kOutbox, row_key('A', which->first));
  by_id_.erase(which->second.id);
  awaited_.erase(which);
}

void Receipts::await(const Item& item, const ContactRow& chat, Turn& turn) {
  advance(item, chat, Status::kSent, {}, turn);
  awaited_[item.order] = {item.id, item.to, Status::kSent, turn.env.now, {}};
  by_id_[item.id] = item.order;
  turn.put(Space::kOutbox, row_key('A', item.order), encode(awaited_[item.order]));
  if (item.seen > Status::kSent) apply(chat, item.id, item.seen, turn);
  while (awaited_.size() > limits::kAwaitedReceipts) let_go(awaited_.begin(), turn);
}

void Receipts::apply(const ContactRow& from, MessageId id, Status status, Turn& turn) {
  const auto found = by_id_.find(id);
  if (found == by_id_.end()) return;
  const std::uint64_t order = found->second;
  Awaited& awaited = awaited_[order];
  if (awaited.chat.is_group()) {
    Bytes when;
    put_be64(when, static_cast<std::uint64_t>(turn.env.now.ms));
    turn.put(Space::kAct,
             act_row_key(awaited.chat, id, status == Status::kRead ? 'y' : 'x', from.contact.user),
             std::move(when));
    turn.notify(StatusChanged{id, awaited.chat, from.contact.user, from.contact.phone, status, {}});
    return;
  }
  if (awaited.chat != ChatId(from.contact.user) || status <= awaited.status) return;
  awaited.status = status;
  const Instant now = turn.env.now;
  if (awaited.delivered.ms == 0) awaited.delivered = now;
  const Instant read = status == Status::kRead ? now : Instant{};
  turn.put(Space::kMessage, progress_row_key(awaited.chat, order),
           encode(Progress{status, awaited.accepted, {}, awaited.delivered, read}));
  turn.notify(StatusChanged{id, awaited.chat, from.contact.user, from.contact.phone, status, {}});
  if (status == Status::kRead) {
    let_go(awaited_.find(order), turn);
  } else {
    turn.put(Space::kOutbox, row_key('A', order), encode(awaited));
  }
}

void Receipts::forget(std::uint64_t order, Turn& turn) {
  if (const auto found = awaited_.find(order); found != awaited_.end()) let_go(found, turn);
}

void Receipts::load(std::uint64_t order, const Awaited& awaited) {
  awaited_[order] = awaited;
  by_id_[awaited.id] = order;
}

void Receipts::store_all(ports::Batch& batch) const {
  for (const auto& [order, awaited] : awaited_) {
    batch.put(Space::kOutbox, row_key('A', order), encode(awaited));
  }
}

}  // namespace godwit::client
