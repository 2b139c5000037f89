#include "ports/faulty_store.h"

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace godwit::ports {

Result<void> FaultyStore::write(std::span<const Batch> batches, Durability durability) {
  if (full_) return fail(Code::kFull, "the disk is full: free some space");
  const auto fault = std::exchange(fault_, std::nullopt);
  if (fault && fault->outcome == Outcome::kAbsent) return fail(fault->error);
  GODWIT_TRY(live_.write(batches, durability));
  unsynced_.emplace_back(batches.begin(), batches.end());
  if (durability == Durability::kSafe) sync();
  if (fault) return fail(fault->error);
  return {};
}

Result<void> FaultyStore::expire(Instant now) {
  sync();
  GODWIT_TRY(synced_.expire(now));
  return live_.expire(now);
}

void FaultyStore::crash(std::size_t kept) {
  unsynced_.resize(std::min(kept, unsynced_.size()));
  sync();
  live_ = synced_;
}

void FaultyStore::sync() {
  for (const auto& batches : unsynced_) {
    CHECK(synced_.write(batches, Durability::kSafe));
  }
  unsynced_.clear();
}

}  // namespace godwit::ports
