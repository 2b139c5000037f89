#include "ports/memory_store.h"

#include <algorithm>
#include <utility>

namespace godwit::ports {

Result<void> MemoryStore::write(std::span<const Batch> batches, Durability) {
  for (const Batch& batch : batches) {
    GODWIT_TRY(check_batch(batch));
  }
  for (const Batch& batch : batches) {
    for (const Mutation& mutation : batch.mutations) apply(batch.partition, mutation);
  }
  return {};
}

void MemoryStore::apply(const Bytes& partition, const Mutation& mutation) {
  const Row& row = mutation.row;
  switch (mutation.kind) {
    case Mutation::Kind::kPut:
      rows_.insert_or_assign({mutation.space, partition, row.key}, Value{row.value, row.expires});
      return;
    case Mutation::Kind::kErase: rows_.erase({mutation.space, partition, row.key}); return;
    case Mutation::Kind::kEraseRange: {
      const auto [from, to] = range(mutation.space, partition, row.key, mutation.key_end);
      rows_.erase(from, to);
      return;
    }
  }
}

std::pair<MemoryStore::Rows::iterator, MemoryStore::Rows::iterator> MemoryStore::range(
    Space space, const Bytes& partition, const Bytes& first, const Bytes& end) {
  const auto from = rows_.lower_bound({space, partition, first});
  if (!end.empty()) {
    if (end <= first) return {from, from};
    return {from, rows_.lower_bound({space, partition, end})};
  }
  Bytes next_partition = partition;
  next_partition.push_back(0);  // the immediate successor of `partition`
  return {from, rows_.lower_bound({space, std::move(next_partition), {}})};
}

Result<std::vector<Row>> MemoryStore::scan(const Scan& scan) {
  if (scan.partitions) return partitions(scan);
  std::vector<Row> found;
  auto [from, to] = range(scan.space, scan.partition, scan.first, scan.end);
  while (from != to && found.size() < scan.limit) {
    const auto at = scan.reverse ? std::prev(to) : from;
    const auto& [place, value] = *at;
    if (value.expires > now_) found.push_back({place.key, value.octets, value.expires});
    if (scan.reverse) to = at;
    else ++from;
  }
  return found;
}

std::vector<Row> MemoryStore::partitions(const Scan& scan) const {
  std::vector<Row> found;
  for (auto at = rows_.lower_bound({scan.space, scan.first, {}});
       at != rows_.end() && at->first.space == scan.space && found.size() < scan.limit; ++at) {
    const Bytes& partition = at->first.partition;
    if (!scan.end.empty() && partition >= scan.end) break;
    const bool seen = !found.empty() && found.back().key == partition;
    if (!seen && at->second.expires > now_) found.push_back({partition, {}});
  }
  return found;
}

Result<std::vector<Row>> MemoryStore::match(ByteView partition, std::span<const std::string> words,
                                            std::size_t limit) {
  std::vector<Row> found;
  if (words.empty()) return found;
  auto [from, to] = range(Space::kSearch, to_bytes(partition), {}, {});
  while (from != to && found.size() < limit) {
    --to;
    const std::string text = ' ' + to_string(to->second.octets);
    const bool all = std::ranges::all_of(
        words, [&](const std::string& word) { return text.find(' ' + word) != std::string::npos; });
    if (all) found.push_back({to->first.key, to->second.octets, to->second.expires});
  }
  return found;
}

Result<void> MemoryStore::expire(Instant now) {
  std::erase_if(rows_, [now](const auto& row) { return row.second.expires <= now; });
  return {};
}

Result<std::uint64_t> MemoryStore::count(Space space) {
  std::uint64_t rows = 0;
  for (auto at = rows_.lower_bound({space, {}, {}}); at != rows_.end(); ++at) {
    if (at->first.space != space) break;
    if (at->second.expires > now_) ++rows;
  }
  return rows;
}

}  // namespace godwit::ports
