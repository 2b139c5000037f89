// StoreWorker: the thread on which the store may block, for all shards of a process.
//
// Jobs are taken in the order in which they came. Writes that wait are stored as one group, with
// one synchronisation (group commit): the busier, the larger the groups. A read waits for the
// writes to its own partition that came before it, and for no others.
//
// Invariants:
//   * every job is reported exactly once, on the worker's thread or, if refused, in submit();
//   * what waits is bounded (limits::kStoreQueueJobs and kStoreQueueBytes); beyond it jobs fail
//     with kUnavailable and nothing of them is stored.
#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <optional>
#include <thread>
#include <variant>
#include <vector>

#include "base/id.h"
#include "ports/store.h"
#include "runtime/metrics.h"

namespace godwit::runtime {

struct StoreJob {
  ShardId shard;
  std::uint64_t token = 0;
  std::variant<ports::Batch, ports::Scan> work;
};

struct StoreReport {
  std::uint64_t token = 0;
  std::variant<Result<void>, Result<std::vector<ports::Row>>> result;
};

class StoreWorker {
 public:
  // Called with the reports of one shard, any number at a time, in the order of its jobs except
  // that a read may be reported before an earlier write.
  using Deliver = std::function<void(ShardId, std::vector<StoreReport>)>;

  // `store` outlives the worker; others may use it too.
  StoreWorker(ports::Store& store, Deliver deliver);
  // Does what waits, then ends.
  ~StoreWorker();

  // Any thread. The order within `jobs` counts.
  void submit(std::vector<StoreJob> jobs);

  // Any thread. Why the last write failed; nullopt when it succeeded.
  std::optional<Error> trouble() const;
  // Writes a row of no meaning when the last write failed, to learn whether the next would: a disk
  // that was full may have room again, and nobody else may come to try.
  void probe();

  const Histogram& write_seconds() const { return write_seconds_; }  // of groups
  const Histogram& read_seconds() const { return read_seconds_; }
  std::uint64_t batches() const { return batches_; }
  std::uint64_t waiting() const;

 private:
  struct Group;
  void run();
  void work(std::vector<StoreJob> jobs);
  void read(const StoreJob& job, Group& group);
  void write(Group& group);
  void report(Group& group);
  void note(const Result<void>& result);

  ports::Store& store_;
  const Deliver deliver_;
  Histogram write_seconds_;
  Histogram read_seconds_;
  std::atomic<std::uint64_t> batches_ = 0;

  mutable std::mutex mutex_;  // guards what follows
  std::condition_variable wake_;
  std::vector<StoreJob> queue_;
  std::size_t queue_bytes_ = 0;
  std::optional<Error> trouble_;
  bool probe_ = false;
  bool ending_ = false;

  std::thread thread_;
};

}  // namespace godwit::runtime
