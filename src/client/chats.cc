#include "client/chats.h"

#include <algorithm>
#include <utility>

namespace godwit::client {

using ports::Space;

namespace {

Bytes key_of(ChatId chat) {
  Bytes key = row_key('M');
  append(key, chat_key(chat));
  return key;
}

}  // namespace

const ChatRow& Chats::of(ChatId chat) const {
  static const ChatRow kNothing;
  const auto found = rows_.find(chat);
  return found == rows_.end() ? kNothing : found->second;
}

std::vector<ChatId> Chats::list() const {
  std::vector<ChatId> out;
  for (const auto& [chat, row] : rows_) out.push_back(chat);
  return out;
}

void Chats::store(ChatId chat, Turn& turn) {
  turn.put(Space::kContact, key_of(chat), encode(rows_[chat]));
}

void Chats::set_archived(ChatId chat, bool archived, Turn& turn) {
  rows_[chat].archived = archived;
  store(chat, turn);
}

void Chats::set_muted_until(ChatId chat, Instant until, Turn& turn) {
  rows_[chat].muted_until = until;
  store(chat, turn);
}

void Chats::set_draft(ChatId chat, std::string draft, Turn& turn) {
  rows_[chat].draft = std::move(draft);
  store(chat, turn);
}

bool Chats::set_lifetime(ChatId chat, Duration lifetime, Instant composed, Turn& turn) {
  ChatRow& row = rows_[chat];
  const auto when = static_cast<std::uint64_t>(std::max<std::int64_t>(composed.ms, 0));
  // Both may set it in the same millisecond: the longer one holds on both sides.
  if (std::pair(when, lifetime) < std::pair(row.lifetime_set, row.lifetime)) return false;
  row.lifetime = lifetime;
  row.lifetime_set = when;
  store(chat, turn);
  return true;
}

void Chats::pin(ChatId chat, MessageId id, std::uint64_t revision, bool on, Turn& turn) {
  std::vector<ChatRow::Pin>& pins = rows_[chat].pins;
  const auto known = std::ranges::find(pins, id, &ChatRow::Pin::id);
  // Two may have pinned it and taken it off at once, under one revision: it is pinned, with all.
  const auto newness = std::pair(revision, on);
  if (known != pins.end() && std::pair(known->revision, known->on) >= newness) return;
  if (known != pins.end()) pins.erase(known);
  pins.push_back({id, revision, on});
  std::ranges::sort(pins, {},
                    [](const ChatRow::Pin& pin) { return std::pair(pin.revision, pin.id); });
  if (pins.size() > 4 * limits::kPins) pins.erase(pins.begin());
  store(chat, turn);
}

std::vector<MessageId> Chats::pins(ChatId chat) const {
  std::vector<MessageId> out;
  for (const ChatRow::Pin& pin : of(chat).pins) {
    if (pin.on) out.push_back(pin.id);
  }
  if (out.size() > limits::kPins) out.erase(out.begin(), out.end() - limits::kPins);
  return out;
}

// ---- unread

void Chats::add_unread(ChatId chat, std::vector<Unread> messages, Turn& turn) {
  if (messages.empty()) return;
  Batches& batches = unread_[chat];
  const std::uint64_t first = messages.front().order;
  UnreadRow& row = batches[first];
  row.messages = std::move(messages);
  turn.put(Space::kContact, row_key('U', chat, first), encode(row));
  while (unread(chat) > limits::kUnreadPerChat && batches.size() > 1) {
    turn.erase(Space::kContact, row_key('U', chat, batches.begin()->first));
    batches.erase(batches.begin());
  }
}

std::size_t Chats::unread(ChatId chat) const {
  const auto found = unread_.find(chat);
  std::size_t count = 0;
  if (found == unread_.end()) return count;
  for (const auto& [first, row] : found->second) count += row.messages.size();
  return count;
}

std::size_t Chats::mentions(ChatId chat) const {
  const auto found = unread_.find(chat);
  std::size_t count = 0;
  if (found == unread_.end()) return count;
  for (const auto& [first, row] : found->second) {
    count += static_cast<std::size_t>(std::ranges::count_if(row.messages, &Unread::mentions));
  }
  return count;
}

std::vector<ChatId> Chats::unread_chats() const {
  std::vector<ChatId> out;
  for (const auto& [chat, batches] : unread_) out.push_back(chat);
  return out;
}

std::vector<Unread> Chats::read(ChatId chat, std::uint64_t up_to, Turn& turn) {
  std::vector<Unread> out;
  const auto found = unread_.find(chat);
  if (found == unread_.end()) return out;
  Batches& batches = found->second;
  while (!batches.empty() && batches.begin()->first <= up_to) {
    const auto at = batches.begin();
    auto& messages = at->second.messages;
    const auto rest = std::ranges::upper_bound(messages, up_to, {}, &Unread::order);
    out.insert(out.end(), messages.begin(), rest);
    messages.erase(messages.begin(), rest);
    turn.erase(Space::kContact, row_key('U', chat, at->first));
    if (messages.empty()) {
      batches.erase(at);
      continue;
    }
    UnreadRow left = std::move(at->second);
    batches.erase(at);
    const std::uint64_t first = left.messages.front().order;
    turn.put(Space::kContact, row_key('U', chat, first), encode(left));
    batches[first] = std::move(left);
  }
  if (batches.empty()) unread_.erase(found);
  if (out.empty()) return out;
  ChatRow& row = rows_[chat];
  row.read_up_to = std::max(row.read_up_to, out.back().order);
  store(chat, turn);
  return out;
}

void Chats::forget(ChatId chat, std::uint64_t order, Turn& turn) {
  const auto found = unread_.find(chat);
  if (found == unread_.end()) return;
  auto at = found->second.upper_bound(order);
  if (at == found->second.begin()) return;
  --at;
  if (std::erase_if(at->second.messages, [&](const Unread& m) { return m.order == order; }) == 0) {
    return;
  }
  if (!at->second.messages.empty()) {
    turn.put(Space::kContact, row_key('U', chat, at->first), encode(at->second));
    return;
  }
  turn.erase(Space::kContact, row_key('U', chat, at->first));
  found->second.erase(at);
  if (found->second.empty()) unread_.erase(found);
}

void Chats::load(ChatId chat, ChatRow row) { rows_[chat] = std::move(row); }

void Chats::load(ChatId chat, std::uint64_t first, UnreadRow row) {
  if (!row.messages.empty()) unread_[chat][first] = std::move(row);
}

void Chats::store_all(ports::Batch& batch) const {
  for (const auto& [chat, row] : rows_) batch.put(Space::kContact, key_of(chat), encode(row));
  for (const auto& [chat, batches] : unread_) {
    for (const auto& [first, row] : batches) {
      batch.put(Space::kContact, row_key('U', chat, first), encode(row));
    }
  }
}

}  // namespace godwit::client
