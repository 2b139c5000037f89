#include "client/outbox.h"

#include <algorithm>

#include "base/check.h"

namespace godwit::client {
namespace {

using ports::Space;

Bytes key_of(const Item& item) { return row_key('Q', item.order); }

}  // namespace

std::uint64_t Outbox::take_order(Turn& turn) {
  turn.ledger = true;
  return ledger_.next_order++;
}

// The message as the history shows it while it waits.
void Outbox::record(const Item& item, const ContactRow& contact, Turn& turn) {
  Message message = message_of(item);
  message.chat = item.to;
  message.phone = contact.contact.phone;
  journal_.add(message, item.order, turn);
}

Result<MessageId> Outbox::add_text(std::string_view phone, const ContactRow* contact, Text text,
                                   Turn& turn) {
  Item item{
      .id = MessageId::random(turn.env.entropy), .composed = turn.env.now, .text = std::move(text)};
  if (texts_ >= limits::kOutboxMessages || octets_ + item.octets() > limits::kOutboxBytes) {
    return fail(Code::kFull, "too many messages wait to be sent; connect first");
  }
  item.order = take_order(turn);
  const MessageId id = item.id;
  if (contact) {
    item.to = contact->contact.user;
    record(item, *contact, turn);
  } else {
    item.phone = phone;
  }
  turn.put(Space::kOutbox, key_of(item), encode(item));
  load(std::move(item));
  return id;
}

Result<void> Outbox::add_act(UserId to, GroupId group, const Act& act, Turn& turn) {
  if (texts_ >= limits::kOutboxMessages || octets_ + act.text.size() > limits::kOutboxBytes) {
    return fail(Code::kFull, "too many messages wait to be sent; connect first");
  }
  Item item{.order = take_order(turn),
            .id = MessageId::random(turn.env.entropy),
            .to = to,
            .composed = turn.env.now,
            .act = act,
            .group = group};
  turn.put(Space::kOutbox, key_of(item), encode(item));
  load(std::move(item));
  return {};
}

void Outbox::add_receipt(UserId to, GroupId group, Duration within, Receipt receipt, Turn& turn) {
  const auto since = gathering_.find(to);
  const bool gathers = since != gathering_.end();
  if (gathers && join_gathered(to, group, receipt, turn)) return;
  const auto waiting =
      std::ranges::count_if(queue(to), [](const Item& item) { return item.receipt.has_value(); });
  if (static_cast<std::size_t>(waiting) >= limits::kReceiptsPerContact) return;
  // Between half of it and all: the members of a group do not come at the same time.
  const auto spread = static_cast<std::uint64_t>(within.ms / 2 + 1);
  Instant until = turn.env.now + within;
  until.ms -= static_cast<std::int64_t>(turn.env.entropy.below(spread));
  if (gathers) until = std::min(until, since->second);
  const bool alone = gathers || queue(to).empty();
  Item item{.order = take_order(turn),
            .id = MessageId::random(turn.env.entropy),
            .to = to,
            .composed = turn.env.now,
            .receipt = std::move(receipt),
            .group = group};
  turn.put(Space::kOutbox, key_of(item), encode(item));
  load(std::move(item));
  if (alone && until > turn.env.now) gather(to, until);
}

// Puts it into a receipt that waits. What is read now need not be called delivered any more.
bool Outbox::join_gathered(UserId to, GroupId group, const Receipt& receipt, Turn& turn) {
  Queue& items = queues_.at(to);
  if (receipt.status == Status::kRead) {
    const std::set<MessageId> read(receipt.ids.begin(), receipt.ids.end());
    for (Item& item : items) {
      if (item.receipt->status != Status::kDelivered) continue;
      if (std::erase_if(item.receipt->ids, [&](MessageId id) { return read.contains(id); }) == 0) {
        continue;
      }
      if (item.receipt->ids.empty()) turn.erase(Space::kOutbox, key_of(item));
      else turn.put(Space::kOutbox, key_of(item), encode(item));
    }
    std::erase_if(items, [](const Item& item) { return item.receipt->ids.empty(); });
  }
  for (Item& item : items) {
    std::vector<MessageId>& ids = item.receipt->ids;
    if (item.group != group || item.receipt->status != receipt.status ||
        ids.size() + receipt.ids.size() > Receipt::kMaxIds) {
      continue;
    }
    ids.insert(ids.end(), receipt.ids.begin(), receipt.ids.end());
    turn.put(Space::kOutbox, key_of(item), encode(item));
    return true;
  }
  return false;
}

void Outbox::gather(UserId to, Instant until) {
  gathering_[to] = until;
  gathered_.insert({until, to});
}

void Outbox::end_gathering(UserId to) {
  const auto found = gathering_.find(to);
  if (found == gathering_.end()) return;
  gathered_.erase({found->second, to});
  gathering_.erase(found);
}

std::vector<UserId> Outbox::take_gathered(Instant now) {
  std::vector<UserId> out;
  while (!gathered_.empty() && gathered_.begin()->first <= now) {
    out.push_back(gathered_.begin()->second);
    end_gathering(out.back());
  }
  return out;
}

void Outbox::on_clock_set_back() {
  for (const auto& [user, until] : std::map(gathering_)) {
    end_gathering(user);
    gather(user, Instant{});
  }
}

void Outbox::add_group_key(UserId to, GroupKey key, Bytes identity, Turn& turn) {
  Item item{.order = take_order(turn),
            .id = MessageId::random(turn.env.entropy),
            .to = to,
            .composed = turn.env.now,
            .group_key = std::move(key),
            .for_identity = std::move(identity)};
  turn.put(Space::kOutbox, key_of(item), encode(item));
  load(std::move(item));
}

void Outbox::add_repeat(UserId to, const GroupSaid& said, Bytes identity, Turn& turn) {
  for (const Item& item : queue(to)) {
    if (item.repeat && item.repeat->id == said.id) return;
  }
  Item item{.order = take_order(turn),
            .id = MessageId::random(turn.env.entropy),
            .to = to,
            .composed = turn.env.now,
            .repeat = said,
            .for_identity = std::move(identity)};
  turn.put(Space::kOutbox, key_of(item), encode(item));
  load(std::move(item));
}

bool Outbox::carries_key(UserId user, GroupId group) const {
  return std::ranges::any_of(queue(user), [&](const Item& item) {
    return item.group_key && item.group_key->group == group;
  });
}

// Items get new places at the end: what is queued before them may be under way, and counts on
// its number.
void Outbox::resolve(const std::string& phone, const ContactRow& contact, Turn& turn) {
  auto waiting = unresolved_.extract(phone);
  if (waiting.empty()) return;
  end_gathering(contact.contact.user);
  for (Item& item : waiting.mapped()) {
    turn.erase(Space::kOutbox, key_of(item));
    item.order = take_order(turn);
    item.to = contact.contact.user;
    item.phone.clear();
    turn.put(Space::kOutbox, key_of(item), encode(item));
    record(item, contact, turn);
    queues_[item.to].push_back(std::move(item));
  }
}

void Outbox::fail_unresolved(const std::string& phone, Turn& turn) {
  auto waiting = unresolved_.extract(phone);
  if (waiting.empty()) return;
  for (const Item& item : waiting.mapped()) {
    drop(item, turn);
    turn.notify(StatusChanged{
        item.id, {}, {}, phone, Status::kFailed, phone + " has no account on this server"});
  }
}

void Outbox::drop(const Item& item, Turn& turn) {
  turn.erase(Space::kOutbox, key_of(item));
  if (item.is_notice()) return;
  --texts_;
  octets_ -= item.octets();
}

const Outbox::Queue& Outbox::queue(UserId user) const {
  static const Queue kNone;
  const auto found = queues_.find(user);
  return found == queues_.end() ? kNone : found->second;
}

// Removes the first items and counts them: their numbers are used up, accepted or not.
void Outbox::pop(UserId user, std::size_t count, Turn& turn) {
  const auto found = queues_.find(user);
  ContactRow* contact = contacts_.find(user);
  CHECK(contact && found != queues_.end() && count <= found->second.size());
  end_gathering(user);
  for (std::size_t i = 0; i < count; ++i) {
    drop(found->second.front(), turn);
    found->second.pop_front();
  }
  contact->accepted += count;
  turn.contacts.insert(user);
  if (found->second.empty()) queues_.erase(found);
}

// A text was sent, or failed for good.
void Outbox::start_lifetime(const Item& item, Turn& turn) {
  const Extras& extras = item.text->extras;
  if (extras.sets_lifetime) return;
  journal_.start_lifetime(item.to, item.order, item.id, extras.lifetime, turn);
}

void Outbox::accept(UserId user, std::size_t count, const Sent& how, Turn& turn) {
  const Queue& items = queue(user);
  const ContactRow* contact = contacts_.find(user);
  CHECK(contact && count <= items.size());
  for (std::size_t i = 0; i < count; ++i) {
    if (const auto& text = items[i].text; text) {
      const Item& item = items[i];
      receipts_.await(item, *contact, turn);
      start_lifetime(item, turn);
      if (journal_.deleted(user, item.id)) continue;
    }
    if (items[i].seen >= Status::kDelivered) continue;  // confirmed already
    Sent sent = how;
    sent.item = items[i];
    sent.number = contact->accepted + 1 + i;
    sent_.add(std::move(sent), turn);
  }
  pop(user, count, turn);
}

void Outbox::reject(UserId user, std::size_t count, const std::string& failure, Turn& turn) {
  const Queue& items = queue(user);
  const ContactRow* contact = contacts_.find(user);
  CHECK(contact && count <= items.size());
  for (std::size_t i = 0; i < count; ++i) {
    if (!items[i].text) continue;
    Receipts::advance(items[i], *contact, Status::kFailed, failure, turn);
    start_lifetime(items[i], turn);
  }
  if (count != 0) pop(user, count, turn);
}

void Outbox::put_off(UserId user, std::size_t count, Turn& turn) {
  const Queue& items = queue(user);
  const Queue refused(items.begin(), items.begin() + static_cast<std::ptrdiff_t>(count));
  pop(user, count, turn);
  for (const Item& item : refused) {
    add_receipt(user, item.group, limits::kReceiptsPutOff, *item.receipt, turn);
  }
}

void Outbox::apply_receipt(const ContactRow& from, DeviceId device, const Receipt& receipt,
                           Turn& turn) {
  if (receipt.status != Status::kDelivered && receipt.status != Status::kRead) return;
  const auto found = queues_.find(from.contact.user);
  for (const MessageId id : receipt.ids) {
    sent_.confirm(from.contact.user, device, id, turn);
    if (receipts_.awaits(id)) {
      receipts_.apply(from, id, receipt.status, turn);
      continue;
    }
    if (found == queues_.end()) continue;
    // Only what was in the batch under way can have arrived already.
    const std::size_t first = std::min(found->second.size(), limits::kMaxBatchMessages);
    for (std::size_t i = 0; i < first; ++i) {
      Item& item = found->second[i];
      if (item.id != id || item.is_notice() || item.seen >= receipt.status) continue;
      item.seen = receipt.status;
      turn.put(Space::kOutbox, key_of(item), encode(item));
    }
  }
}

std::vector<UserId> Outbox::users() const {
  std::vector<UserId> out;
  for (const auto& [user, queue] : queues_) out.push_back(user);
  return out;
}

std::vector<std::string> Outbox::unresolved() const {
  std::vector<std::string> out;
  for (const auto& [phone, queue] : unresolved_) out.push_back(phone);
  return out;
}

void Outbox::load(Item item) {
  if (!item.is_notice()) {
    ++texts_;
    octets_ += item.octets();
  }
  end_gathering(item.to);
  Queue& queue = item.to.is_nil() ? unresolved_[item.phone] : queues_[item.to];
  queue.push_back(std::move(item));
}

void Outbox::store_all(ports::Batch& batch) const {
  for (const auto& [user, queue] : queues_) {
    for (const Item& item : queue) batch.put(Space::kOutbox, key_of(item), encode(item));
  }
  for (const auto& [phone, queue] : unresolved_) {
    for (const Item& item : queue) batch.put(Space::kOutbox, key_of(item), encode(item));
  }
}

}  // namespace godwit::client
