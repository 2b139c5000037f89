// FaultyStore: a MemoryStore that fails on demand and crashes like a machine. For the simulator.
//
// It keeps what reads see (`live`) apart from what a power failure would leave (`synced`): a kSafe
// write makes itself and every earlier write durable, as one write-ahead log does. For one thread.
#pragma once

#include <optional>

#include "ports/memory_store.h"

namespace godwit::ports {

class FaultyStore final : public Store {
 public:
  // What became of a write that returned an error: its caller cannot know which.
  enum class Outcome : std::uint8_t {
    kAbsent,   // nothing was stored
    kApplied,  // all of it was stored, as durable as was asked
  };

  // The next write() does `outcome` and returns `error`.
  void fail_next_write(Outcome outcome, Error error = {Code::kIo, "the store failed: load again"}) {
    fault_ = {outcome, error};
  }
  // Writes fail with kFull, and store nothing, until the disk has room again.
  void set_full(bool full) { full_ = full; }

  // The machine stops: of the writes since the last kSafe one, the first `kept` survive.
  void crash(std::size_t kept = 0);
  std::size_t unsynced_writes() const { return unsynced_.size(); }

  Result<void> write(std::span<const Batch> batches, Durability durability) override;
  Result<std::vector<Row>> scan(const Scan& scan) override { return live_.scan(scan); }
  Result<std::vector<Row>> match(ByteView partition, std::span<const std::string> words,
                                 std::size_t limit) override {
    return live_.match(partition, words, limit);
  }
  Result<void> expire(Instant now) override;
  Result<std::uint64_t> count(Space space) override { return live_.count(space); }
  void set_now(Instant now) override {
    live_.set_now(now);
    synced_.set_now(now);
  }

 private:
  struct Fault {
    Outcome outcome;
    Error error;
  };
  void sync();

  MemoryStore live_;
  MemoryStore synced_;
  std::vector<std::vector<Batch>> unsynced_;
  std::optional<Fault> fault_;
  bool full_ = false;
};

}  // namespace godwit::ports
