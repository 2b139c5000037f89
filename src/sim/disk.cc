#include "sim/disk.h"

#include <span>
#include <utility>

namespace godwit::sim {

void Disk::write(std::uint32_t lane, ports::Batch batch, Written written) {
  add(lane, Write{std::move(batch), std::move(written)});
}

void Disk::read(std::uint32_t lane, ports::Scan scan, Found found) {
  add(lane, Read{std::move(scan), std::move(found)});
}

void Disk::add(std::uint32_t lane, Operation operation) {
  Lane& at = lanes_[lane];
  at.queue.push_back(std::move(operation));
  if (at.under_way == 0) start(lane);
}

void Disk::start(std::uint32_t lane) {
  Lane& at = lanes_[lane];
  at.under_way = at.queue.size();
  if (at.under_way == 0) return;
  const Duration latency = between(entropy_, Duration{}, weather_.slowest);
  timeline_.in(latency, [this, lane, life = life_] { finish(lane, life); });
}

Result<void> Disk::apply(const ports::Batch& batch) {
  return rows_.write(std::span(&batch, 1), ports::Durability::kSafe);
}

void Disk::finish(std::uint32_t lane, std::uint64_t life) {
  if (life != life_) return;
  for (std::size_t left = lanes_[lane].under_way; left > 0; --left) {
    Operation operation = std::move(lanes_[lane].queue.front());
    lanes_[lane].queue.pop_front();
    rows_.set_now(timeline_.now());
    if (auto* read = std::get_if<Read>(&operation)) {
      read->found(rows_.scan(read->scan));
    } else {
      auto& [batch, written] = std::get<Write>(operation);
      Result<void> result;
      if (weather_.full) {
        result = fail(Code::kFull, "the disk is full: free some space");
      } else if (chance(entropy_, weather_.failing)) {
        if (chance(entropy_, 500)) (void)apply(batch);
        result = fail(Code::kIo, "the store failed: load again");
      } else {
        result = apply(batch);
      }
      written(result);
    }
    if (life != life_) return;  // what was told crashed the process
  }
  start(lane);
}

void Disk::crash() {
  for (auto& [number, lane] : lanes_) {
    std::uint64_t kept = entropy_.below(lane.under_way + 1);
    for (const Operation& operation : lane.queue) {
      if (kept-- == 0) break;
      const auto* write = std::get_if<Write>(&operation);
      if (write != nullptr && !weather_.full) (void)apply(write->batch);
    }
  }
  lanes_.clear();
  ++life_;
}

void Disk::wipe(ports::MemoryStore backup) {
  lanes_.clear();
  ++life_;
  rows_ = std::move(backup);
}

void Disk::expire(Instant now) {
  rows_.set_now(now);
  (void)rows_.expire(now);
}

bool Disk::idle() const {
  for (const auto& [number, lane] : lanes_) {
    if (!lane.queue.empty()) return false;
  }
  return true;
}

}  // namespace godwit::sim
