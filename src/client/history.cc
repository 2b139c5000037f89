#include "client/history.h"

#include <algorithm>

#include "client/engine.h"
#include "client/rows.h"

namespace godwit::client {

Result<Page> read_history(ports::Store& store, ChatId chat, ByteView before, std::size_t limit) {
  limit = std::min(limit, limits::kHistoryPage);
  ports::Scan scan{.partition = Engine::partition(),
                   .space = ports::Space::kMessage,
                   .first = chat_key(chat),
                   .end = before.empty() ? progress_row_key(chat, UINT64_MAX) : to_bytes(before),
                   .limit = 2 * limit,  // each may be followed by its Progress
                   .reverse = true};
  const auto rows = store.scan(scan);
  if (!rows) return fail(rows.error());

  Page page;
  std::optional<Progress> progress;
  for (const ports::Row& row : *rows) {
    if (page.messages.size() == limit) break;
    if (row.key.size() != kMessageKey) {
      auto changed = decode<Progress>(row.value);
      if (!changed) return fail(changed.error());
      progress = std::move(*changed);
      continue;
    }
    auto message = decode<Message>(row.value);
    if (!message) return fail(message.error());
    if (progress) {
      message->status = progress->status;
      message->received = progress->received;
      message->failure = std::move(progress->failure);
      progress.reset();
    }
    page.messages.push_back(std::move(*message));
    page.before = row.key;
  }
  if (page.messages.size() < limit && rows->size() < scan.limit) page.before.clear();
  std::ranges::reverse(page.messages);
  return page;
}

}  // namespace godwit::client
