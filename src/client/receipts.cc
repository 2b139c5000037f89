#include "client/receipts.h"

namespace godwit::client {

using ports::Space;

void Receipts::advance(const Item& item, const ContactRow& chat, Status status, std::string failure,
                       Turn& turn) {
  turn.put(Space::kMessage, progress_row_key(item.to, item.order),
           encode(Progress{status, turn.env.now, failure, {}, {}}));
  turn.notify(StatusChanged{item.id, item.to, {}, chat.contact.phone, status, std::move(failure)});
}

void Receipts::await(const Item& item, const ContactRow& chat, Turn& turn) {
  advance(item, chat, Status::kSent, {}, turn);
  awaited_[item.order] = {item.id, item.to, Status::kSent, turn.env.now, {}};
  by_id_[item.id] = item.order;
  turn.put(Space::kOutbox, row_key('A', item.order), encode(awaited_[item.order]));
  if (item.seen > Status::kSent) apply(chat, item.id, item.seen, turn);
  while (awaited_.size() > limits::kAwaitedReceipts) {
    const auto oldest = awaited_.begin();
    turn.erase(Space::kOutbox, row_key('A', oldest->first));
    by_id_.erase(oldest->second.id);
    awaited_.erase(oldest);
  }
}

void Receipts::apply(const ContactRow& from, MessageId id, Status status, Turn& turn) {
  const auto found = by_id_.find(id);
  if (found == by_id_.end()) return;
  const std::uint64_t order = found->second;
  Awaited& awaited = awaited_[order];
  if (awaited.chat != ChatId(from.contact.user) || status <= awaited.status) return;
  awaited.status = status;
  const Instant now = turn.env.now;
  if (awaited.delivered.ms == 0) awaited.delivered = now;
  const Instant read = status == Status::kRead ? now : Instant{};
  turn.put(Space::kMessage, progress_row_key(awaited.chat, order),
           encode(Progress{status, awaited.accepted, {}, awaited.delivered, read}));
  turn.notify(StatusChanged{id, awaited.chat, from.contact.user, from.contact.phone, status, {}});
  if (status == Status::kRead) {
    turn.erase(Space::kOutbox, row_key('A', order));
    awaited_.erase(order);
    by_id_.erase(found);
  } else {
    turn.put(Space::kOutbox, row_key('A', order), encode(awaited));
  }
}

void Receipts::forget(std::uint64_t order, Turn& turn) {
  const auto found = awaited_.find(order);
  if (found == awaited_.end()) return;
  turn.erase(Space::kOutbox, row_key('A', order));
  by_id_.erase(found->second.id);
  awaited_.erase(found);
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
