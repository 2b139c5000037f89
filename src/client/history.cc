#include "client/history.h"

#include <algorithm>
#include <utility>

#include "client/engine.h"
#include "client/rows.h"

namespace godwit::client {
namespace {

using ports::Space;

void apply(Progress progress, Message& message) {
  message.status = progress.status;
  message.received = progress.received;
  message.failure = std::move(progress.failure);
  if (message.direction != Direction::kOut) return;
  if (progress.status != Status::kFailed) message.sent = progress.received;
  message.delivered = progress.delivered;
  message.read = progress.read;
}

// 'x' and 'y' come before 'z': who is not in the audience goes.
Result<void> apply_arrival(const ports::Row& row, char what, UserId who, Message& message) {
  if (what != 'z') {
    if (row.value.size() != 8) return fail(Code::kCorrupt, "a receipt's row is damaged");
    const Instant when{static_cast<std::int64_t>(get_be64(row.value))};
    if (what == 'x') {
      message.arrivals.push_back({who, when, {}});
      return {};
    }
    const auto at = std::ranges::lower_bound(message.arrivals, who, {}, &Arrival::member);
    if (at != message.arrivals.end() && at->member == who) at->read = when;
    else message.arrivals.insert(at, {who, when, when});
    return {};
  }
  auto audience = decode<Audience>(row.value);
  if (!audience) return fail(audience.error());
  const std::vector<Arrival> told = std::exchange(message.arrivals, {});
  std::size_t delivered = 0, read = 0;
  for (const UserId member : audience->members) {
    const auto at = std::ranges::lower_bound(told, member, {}, &Arrival::member);
    const bool here = at != told.end() && at->member == member;
    message.arrivals.push_back(here ? *at : Arrival{member, {}, {}});
    delivered += here ? 1 : 0;
    read += here && at->read.ms != 0 ? 1 : 0;
  }
  if (message.status != Status::kSent || message.arrivals.empty()) return {};
  if (read == message.arrivals.size()) message.status = Status::kRead;
  else if (delivered == message.arrivals.size()) message.status = Status::kDelivered;
  return {};
}

Result<void> apply(const ports::Row& row, Message& message) {
  const ByteView rest = ByteView(row.key).subspan(kChatKey + 16);
  const char what = rest.empty() ? '\0' : static_cast<char>(rest[0]);
  const UserId who = rest.size() >= 17 ? UserId{*to_array<16>(rest.subspan(1, 16))} : UserId{};
  switch (what) {
    case 'r':  // ascending revisions: the last one counts
      std::erase_if(message.reactions, [&](const Reaction& r) { return r.from == who; });
      if (!row.value.empty()) message.reactions.push_back({who, to_string(row.value)});
      return {};
    case 'v':
      std::erase_if(message.votes, [&](const Vote& v) { return v.from == who; });
      if (!row.value.empty()) message.votes.push_back({who, row.value});
      return {};
    case 's': message.starred = true; return {};
    case 'o':
      if (message.extras.view_once && who != message.from) message.opened = true;
      return {};
    case 'e': {
      if (who != message.from) return {};
      auto edit = decode<Act>(row.value);
      if (!edit) return fail(edit.error());
      message.text = std::move(edit->text);
      message.edited = true;
      return {};
    }
    case 'x':
    case 'y':
    case 'z': return apply_arrival(row, what, who, message);
    default: return {};
  }
}

Result<Message> message_of(const ports::Row& row) {
  auto message = decode<Message>(row.value);
  if (message) message->order = get_be64(ByteView(row.key).subspan(kChatKey, 8));
  return message;
}

}  // namespace

Result<void> join(ports::Store& store, Message& message) {
  if (message.deleted) return {};
  const Bytes prefix = act_prefix(message.chat, message.id);
  const auto rows = store.scan({Engine::partition(), Space::kAct, prefix, after_prefix(prefix)});
  if (!rows) return fail(rows.error());
  for (const ports::Row& row : *rows) GODWIT_TRY(apply(row, message));
  return {};
}

Result<Page> read_history(ports::Store& store, ChatId chat, ByteView before, std::size_t limit) {
  limit = std::min(limit, limits::kHistoryPage);
  ports::Scan scan{.partition = Engine::partition(),
                   .space = Space::kMessage,
                   .first = chat_key(chat),
                   .end = before.empty() ? progress_row_key(chat, UINT64_MAX) : to_bytes(before),
                   .limit = 2 * limit,  // each may be followed by its Progress
                   .reverse = true};
  const auto rows = store.scan(scan);
  if (!rows) return fail(rows.error());
  const Bytes acts = chat_key(chat);
  const auto any = store.scan({Engine::partition(), Space::kAct, acts, after_prefix(acts), 1});
  if (!any) return fail(any.error());

  Page page;
  std::optional<Progress> progress;
  Bytes of;  // the message that it belongs to; that may have been erased
  for (const ports::Row& row : *rows) {
    if (page.messages.size() == limit) break;
    if (row.key.size() != kMessageKey) {
      auto changed = decode<Progress>(row.value);
      if (!changed) return fail(changed.error());
      progress = std::move(*changed);
      of.assign(row.key.begin(), row.key.end() - 1);
      continue;
    }
    auto message = message_of(row);
    if (!message) return fail(message.error());
    if (progress && of == row.key) apply(std::move(*progress), *message);
    progress.reset();
    if (!any->empty()) GODWIT_TRY(join(store, *message));
    page.messages.push_back(std::move(*message));
    page.before = row.key;
  }
  if (page.messages.size() < limit && rows->size() < scan.limit) page.before.clear();
  std::ranges::reverse(page.messages);
  return page;
}

Result<Message> read_message(ports::Store& store, ChatId chat, std::uint64_t order) {
  const auto rows = store.scan({Engine::partition(), Space::kMessage, message_row_key(chat, order),
                                message_row_key(chat, order + 1), 2});
  if (!rows) return fail(rows.error());
  if (rows->empty() || rows->front().key.size() != kMessageKey) {
    return fail(Code::kNotFound, "there is no such message");
  }
  auto message = message_of(rows->front());
  if (!message) return message;
  if (rows->size() == 2) {
    auto progress = decode<Progress>(rows->back().value);
    if (!progress) return fail(progress.error());
    apply(std::move(*progress), *message);
  }
  GODWIT_TRY(join(store, *message));
  return message;
}

Result<std::vector<Message>> find_messages(ports::Store& store, std::string_view prefix) {
  std::string digits(prefix.substr(0, 32));
  const bool hex = std::ranges::all_of(
      prefix, [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
  if (!hex || prefix.size() < 4 || prefix.size() > 32) {
    return fail(Code::kInvalid,
                "name a message by its id, or by the first 4 or more of its digits");
  }
  Bytes first{kIdTag}, last{kIdTag};
  for (std::size_t i = 0; i < 32; i += 2) {
    const auto nibble = [&](std::size_t at, std::uint8_t filler) -> std::uint8_t {
      if (at >= digits.size()) return filler;
      return static_cast<std::uint8_t>(digits[at] <= '9' ? digits[at] - '0'
                                                         : digits[at] - 'a' + 10);
    };
    first.push_back(static_cast<std::uint8_t>(nibble(i, 0) << 4 | nibble(i + 1, 0)));
    last.push_back(static_cast<std::uint8_t>(nibble(i, 15) << 4 | nibble(i + 1, 15)));
  }
  last.push_back(0xFF);
  const auto rows = store.scan({Engine::partition(), Space::kMessage, first, last, 2});
  if (!rows) return fail(rows.error());
  std::vector<Message> found;
  for (const ports::Row& row : *rows) {
    if (row.key.size() != 1 + 16 + kChatKey || row.value.size() != 8) continue;
    auto message = read_message(store, chat_of(ByteView(row.key).subspan(17)), get_be64(row.value));
    if (message) found.push_back(std::move(*message));
    else if (message.error().code != Code::kNotFound) return fail(message.error());
  }
  return found;
}

Result<std::vector<Message>> read_starred(ports::Store& store) {
  std::vector<Message> found;
  Bytes first;
  for (;;) {
    const auto rows =
        store.scan({Engine::partition(), Space::kAct, first, {}, limits::kHistoryPage});
    if (!rows) return fail(rows.error());
    for (const ports::Row& row : *rows) {
      if (row.key.size() != kChatKey + 17 || row.key.back() != 's') continue;
      const ByteView id = ByteView(row.key).subspan(kChatKey, 16);
      const Bytes at = id_row_key(MessageId{*to_array<16>(id)}, chat_of(row.key));
      const auto order = store.get(Engine::partition(), Space::kMessage, at);
      if (!order || order->value.size() != 8) continue;
      auto message = read_message(store, chat_of(row.key), get_be64(order->value));
      if (message) found.push_back(std::move(*message));
    }
    if (rows->size() < limits::kHistoryPage) return found;
    first = rows->back().key;
    first.push_back(0);
  }
}

}  // namespace godwit::client
