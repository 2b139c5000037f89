// Disk: a Store as the world has it: slow, full, failing, torn by a crash.
//
// What was reported as written survives everything. Of what is under way a crash leaves a prefix,
// and nobody hears of it. A failing write is wholly absent or wholly there, and says neither. Each
// lane (one shard, one engine) is served in its order; what queued up together is one group commit.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <variant>
#include <vector>

#include "ports/memory_store.h"
#include "sim/timeline.h"

namespace godwit::sim {

class Disk {
 public:
  struct Weather {
    Duration slowest = milliseconds(3);  // of one group commit or read
    std::uint32_t failing = 0;  // writes in a thousand
    bool full = false;
  };
  using Written = std::function<void(Result<void>)>;
  using Found = std::function<void(Result<std::vector<ports::Row>>)>;

  Disk(Timeline& timeline, Entropy& entropy) : timeline_(timeline), entropy_(entropy) {}

  void write(std::uint32_t lane, ports::Batch batch, Written written);
  void read(std::uint32_t lane, ports::Scan scan, Found found);

  // The process ends: reports stop, and of the operations under way a prefix has happened.
  void crash();
  // The medium is replaced: nothing remains, or what a backup holds.
  void wipe(ports::MemoryStore backup = {});
  void expire(Instant now);
  bool idle() const;

  void set_weather(Weather weather) { weather_ = weather; }
  // What is on the medium now.
  ports::MemoryStore& rows() { return rows_; }

 private:
  struct Write {
    ports::Batch batch;
    Written written;
  };
  struct Read {
    ports::Scan scan;
    Found found;
  };
  using Operation = std::variant<Write, Read>;
  struct Lane {
    std::deque<Operation> queue;
    std::size_t under_way = 0;
  };

  void add(std::uint32_t lane, Operation operation);
  void start(std::uint32_t lane);
  void finish(std::uint32_t lane, std::uint64_t life);
  Result<void> apply(const ports::Batch& batch);

  Timeline& timeline_;
  Entropy& entropy_;
  Weather weather_;
  ports::MemoryStore rows_;
  std::map<std::uint32_t, Lane> lanes_;
  std::uint64_t life_ = 0;  // crashes so far: reports of an earlier one are not delivered
};

}  // namespace godwit::sim
