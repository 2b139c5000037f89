#include "ports/store.h"

#include "base/limits.h"

namespace godwit::ports {

std::string_view space_name(Space space) {
  switch (space) {
    case Space::kMeta: return "meta";
    case Space::kDirectory: return "directory";
    case Space::kAccount: return "account";
    case Space::kPrekey: return "prekey";
    case Space::kQueue: return "queue";
    case Space::kGroup: return "group";
    case Space::kFanout: return "fanout";
    case Space::kProfile: return "profile";
    case Space::kContact: return "contact";
    case Space::kSession: return "session";
    case Space::kOutbox: return "outbox";
    case Space::kMessage: return "message";
    case Space::kSetting: return "setting";
    case Space::kChat: return "chat";
    case Space::kAct: return "act";
    case Space::kSearch: return "search";
  }
  return "unknown";
}

Result<void> check_batch(const Batch& batch) {
  bool fits = batch.partition.size() <= limits::kMaxPartition;
  for (const Mutation& mutation : batch.mutations) {
    fits = fits && mutation.row.key.size() <= limits::kMaxKey &&
           mutation.key_end.size() <= limits::kMaxKey + 1 &&  // the successor of the longest key
           mutation.row.value.size() <= limits::kMaxValue;
  }
  if (!fits) return fail(Code::kTooLarge, "a row is over the limits of the store: split it");
  return {};
}

Result<Row> Store::get(ByteView partition, Space space, ByteView key) {
  Bytes end = to_bytes(key);
  end.push_back(0);  // the immediate successor of `key`
  auto rows = scan({to_bytes(partition), space, to_bytes(key), std::move(end), 1});
  if (!rows) return fail(rows.error());
  if (rows->empty()) return fail(Code::kNotFound, "no such row");
  return std::move(rows->front());
}

}  // namespace godwit::ports
