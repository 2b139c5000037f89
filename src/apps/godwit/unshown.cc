#include "apps/godwit/unshown.h"

#include <algorithm>

#include "client/engine.h"
#include "client/history.h"

namespace godwit::cli {
namespace {

constexpr std::string_view kPartition = "cli";
constexpr std::string_view kShown = "shown";
constexpr std::size_t kMessageKey = client::kChatKey + 8;  // longer: changes of status

Bytes key_of(client::ChatId chat, std::uint64_t order) {
  Bytes key = client::chat_key(chat);
  put_be64(key, order);
  return key;
}

// The key after every message of the chat; empty when there is none.
Bytes after(client::ChatId chat) {
  Bytes key = client::chat_key(chat);
  while (!key.empty() && key.back() == 0xFF) key.pop_back();
  if (!key.empty()) ++key.back();
  return key;
}

}  // namespace

Result<void> Unshown::find_chats() {
  Bytes first;
  for (;;) {
    const auto rows =
        store_.scan({client::Engine::partition(), ports::Space::kMessage, first, {}, 1});
    if (!rows) return fail(rows.error());
    if (rows->empty() || rows->front().key.size() < kMessageKey) return {};
    const client::ChatId chat = client::chat_of(rows->front().key);
    if (chat.is_nil()) return {};
    chats_.insert(chat);
    first = after(chat);
    if (first.empty()) return {};
  }
}

Result<void> Unshown::rewind() {
  const auto row = store_.get(to_bytes(kPartition), ports::Space::kSetting, view_of(kShown));
  if (!row && row.error().code != Code::kNotFound) return fail(row.error());
  cursor_ = row && row->value.size() == 8 ? get_be64(row->value) : 0;
  GODWIT_TRY(find_chats());
  loaded_ = true;
  return {};
}

Result<std::vector<Unshown::Entry>> Unshown::next() {
  if (!loaded_) GODWIT_TRY(rewind());
  std::vector<Entry> entries;
  while (!chats_.empty() && entries.empty()) {
    std::uint64_t whole_up_to = UINT64_MAX;  // beyond it, a chat's page was cut
    std::set<client::ChatId> more;
    for (const client::ChatId chat : chats_) {
      const auto rows = store_.scan({client::Engine::partition(), ports::Space::kMessage,
                                     key_of(chat, cursor_ + 1), after(chat), kPage});
      if (!rows) return fail(rows.error());
      for (const ports::Row& row : *rows) {
        if (row.key.size() != kMessageKey) continue;
        auto message = decode<client::Message>(row.value);
        if (!message) return fail(message.error());
        if (message->direction != client::Direction::kIn || message->deleted) continue;
        GODWIT_TRY(client::join(store_, *message));
        if (message->extras.view_once) message->text.clear();
        entries.push_back(
            {get_be64(ByteView(row.key).subspan(client::kChatKey)), std::move(*message)});
      }
      if (rows->size() == kPage) {
        whole_up_to = std::min(whole_up_to,
                               get_be64(ByteView(rows->back().key).subspan(client::kChatKey, 8)));
        more.insert(chat);
      }
    }
    std::ranges::sort(entries, {}, &Entry::order);
    std::size_t keep = 0;
    while (keep < entries.size() && keep < kPage && entries[keep].order <= whole_up_to) ++keep;
    for (std::size_t i = keep; i < entries.size(); ++i) more.insert(entries[i].message.chat);
    entries.resize(keep);
    if (!entries.empty()) cursor_ = entries.back().order;
    else if (whole_up_to != UINT64_MAX) cursor_ = whole_up_to;
    chats_ = std::move(more);
  }
  return entries;
}

Result<void> Unshown::shown(std::uint64_t order) {
  ports::Batch batch{to_bytes(kPartition), {}};
  Bytes value;
  put_be64(value, order);
  batch.put(ports::Space::kSetting, to_bytes(kShown), std::move(value));
  return store_.write({&batch, 1}, ports::Durability::kSafe);
}

bool Unshown::take(const void* reader) {
  if (std::ranges::find(readers_, reader) == readers_.end()) readers_.push_back(reader);
  return readers_.front() == reader;
}

void Unshown::release(const void* reader) {
  if (!readers_.empty() && readers_.front() == reader) loaded_ = false;
  std::erase(readers_, reader);
}

}  // namespace godwit::cli
