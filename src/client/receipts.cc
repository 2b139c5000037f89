#include "client/receipts.h"

namespace godwit::client {

using ports::Space;

void Receipts::advance(const Item& item, const ContactRow& chat, Status status, std::string failure,
                       Turn& turn) {
  turn.put(Space::kMessage, progress_row_key(item.to, item.order),
           encode(Progress{status, turn.env.now, failure}));
  turn.notify(StatusChanged{item.id, item.to, {}, chat.contact.phone, status, std::move(failure)});
}

void Receipts::await(const Item& item, const ContactRow& chat, Turn& turn) {
  advance(item, chat, Status::kSent, {}, turn);
  awaited_[item.order] = {item.id, item.to, Status::kSent, turn.env.now};
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
  turn.put(Space::kMessage, progress_row_key(awaited.chat, order),
           encode(Progress{status, awaited.accepted, {}}));
  turn.notify(StatusChanged{id, awaited.chat, from.contact.user, from.contact.phone, status, {}});
  if (status == Status::kRead) {
    turn.erase(Space::kOutbox, row_key('A', order));
    awaited_.erase(order);
    by_id_.erase(found);
  } else {
    turn.put(Space::kOutbox, row_key('A', order), encode(awaited));
  }
}

void Receipts::add_unread(ChatId chat, std::uint64_t order, std::vector<MessageId> ids,
                          Turn& turn) {
  Unread& unread = unread_[chat];
  unread.ids += ids.size();
  UnreadRow& row = unread.batches[order];
  row.ids = std::move(ids);
  turn.put(Space::kContact, row_key('U', chat, order), encode(row));
  while (unread.ids > limits::kUnreadPerChat) {
    const auto oldest = unread.batches.begin();
    turn.erase(Space::kContact, row_key('U', chat, oldest->first));
    unread.ids -= oldest->second.ids.size();
    unread.batches.erase(oldest);
  }
}

std::vector<MessageId> Receipts::take_unread(ChatId chat, Turn& turn) {
  std::vector<MessageId> ids;
  const auto found = unread_.find(chat);
  if (found == unread_.end()) return ids;
  for (const auto& [order, row] : found->second.batches) {
    ids.insert(ids.end(), row.ids.begin(), row.ids.end());
    turn.erase(Space::kContact, row_key('U', chat, order));
  }
  unread_.erase(found);
  return ids;
}

void Receipts::load(std::uint64_t order, const Awaited& awaited) {
  awaited_[order] = awaited;
  by_id_[awaited.id] = order;
}

void Receipts::load(ChatId chat, std::uint64_t order, UnreadRow row) {
  Unread& unread = unread_[chat];
  unread.ids += row.ids.size();
  unread.batches[order] = std::move(row);
}

void Receipts::store_all(ports::Batch& batch) const {
  for (const auto& [order, awaited] : awaited_) {
    batch.put(Space::kOutbox, row_key('A', order), encode(awaited));
  }
  for (const auto& [chat, unread] : unread_) {
    for (const auto& [order, row] : unread.batches) {
      batch.put(Space::kContact, row_key('U', chat, order), encode(row));
    }
  }
}

}  // namespace godwit::client
