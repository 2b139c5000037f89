#include "runtime/store_worker.h"

#include <chrono>
#include <map>
#include <set>
#include <utility>

#include "base/limits.h"
#include "runtime/log.h"

namespace godwit::runtime {

namespace {

constexpr std::size_t kGroupBatches = 2048;               // bounds what waits behind one group
constexpr std::size_t kGroupBytes = 8 * 1024 * 1024;

std::size_t size_of(const StoreJob& job) {
  std::size_t bytes = sizeof(StoreJob);
  if (const auto* batch = std::get_if<ports::Batch>(&job.work)) {
    bytes += batch->partition.size();
    for (const ports::Mutation& mutation : batch->mutations) {
      bytes += sizeof mutation + mutation.row.key.size() + mutation.row.value.size() +
               mutation.key_end.size();
    }
  }
  return bytes;
}

class Stopwatch {
 public:
  explicit Stopwatch(Histogram& to) : to_(to) {}
  ~Stopwatch() {
    to_.add(std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count());
  }

 private:
  Histogram& to_;
  const std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

}  // namespace

// Writes to be stored together, and what is to be reported.
struct StoreWorker::Group {
  struct Owner {
    ShardId shard;
    std::uint64_t token;
  };
  std::vector<ports::Batch> batches;
  std::vector<Owner> owners;  // of the batches
  std::size_t bytes = 0;
  std::set<Bytes> partitions;  // of the batches
  std::map<ShardId, std::vector<StoreReport>> reports;

  bool has_room() const { return batches.size() < kGroupBatches && bytes < kGroupBytes; }
  void add(StoreJob& job) {
    auto& batch = std::get<ports::Batch>(job.work);
    if (auto valid = ports::check_batch(batch); !valid) {  // must not spoil the others
      reports[job.shard].push_back({job.token, std::move(valid)});
      return;
    }
    bytes += size_of(job);
    partitions.insert(batch.partition);
    batches.push_back(std::move(batch));
    owners.push_back({job.shard, job.token});
  }
};

StoreWorker::StoreWorker(ports::Store& store, Deliver deliver)
    : store_(store), deliver_(std::move(deliver)), thread_([this] { run(); }) {}

StoreWorker::~StoreWorker() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
  }
  wake_.notify_one();
  thread_.join();
}

void StoreWorker::submit(std::vector<StoreJob> jobs) {
  std::map<ShardId, std::vector<StoreReport>> refused;
  const Error behind{Code::kUnavailable, "the store is behind: repeat later"};
  {
    const std::lock_guard lock(mutex_);
    for (StoreJob& job : jobs) {
      const std::size_t size = size_of(job);
      if (queue_.size() < limits::kStoreQueueJobs &&
          queue_bytes_ + size <= limits::kStoreQueueBytes) {
        queue_bytes_ += size;
        queue_.push_back(std::move(job));
      } else if (std::holds_alternative<ports::Batch>(job.work)) {
        refused[job.shard].push_back({job.token, Result<void>(fail(behind))});
      } else {
        refused[job.shard].push_back({job.token, Result<std::vector<ports::Row>>(fail(behind))});
      }
    }
  }
  wake_.notify_one();
  for (auto& [shard, reports] : refused) deliver_(shard, std::move(reports));
}

void StoreWorker::run() {
  for (;;) {
    std::vector<StoreJob> jobs;
    bool probing = false;
    {
      std::unique_lock lock(mutex_);
      wake_.wait(lock, [this] { return !queue_.empty() || probe_ || ending_; });
      if (queue_.empty() && !probe_) return;
      jobs.swap(queue_);
      queue_bytes_ = 0;
      probing = std::exchange(probe_, false);
    }
    if (probing) {
      ports::Batch row{to_bytes("probe"), {}};
      row.put(ports::Space::kMeta, to_bytes("probe"), {});
      note(store_.write({&row, 1}, ports::Durability::kSafe));
    }
    work(std::move(jobs));
  }
}

void StoreWorker::work(std::vector<StoreJob> jobs) {
  for (std::size_t at = 0; at < jobs.size();) {
    Group group;
    for (; at < jobs.size() && group.has_room(); ++at) {
      StoreJob& job = jobs[at];
      if (std::holds_alternative<ports::Batch>(job.work)) {
        group.add(job);
      } else if (group.partitions.contains(std::get<ports::Scan>(job.work).partition)) {
        break;
      } else {
        read(job, group);
      }
    }
    report(group);  // the reads need not wait for the disk
    write(group);
    report(group);
  }
}

void StoreWorker::read(const StoreJob& job, Group& group) {
  const Stopwatch stopwatch(read_seconds_);
  group.reports[job.shard].push_back({job.token, store_.scan(std::get<ports::Scan>(job.work))});
}

void StoreWorker::write(Group& group) {
  if (group.batches.empty()) return;
  Result<void> result;
  {
    const Stopwatch stopwatch(write_seconds_);
    result = store_.write(group.batches, ports::Durability::kSafe);
  }
  batches_ += group.batches.size();
  note(result);
  for (const auto& [shard, token] : group.owners) {
    group.reports[shard].push_back({token, result});
  }
}

void StoreWorker::report(Group& group) {
  for (auto& [shard, reports] : std::exchange(group.reports, {})) {
    deliver_(shard, std::move(reports));
  }
}

void StoreWorker::note(const Result<void>& result) {
  const std::lock_guard lock(mutex_);
  if (!result && !trouble_) {
    log(LogLevel::kError, "the store refuses writes",
        {{"code", code_name(result.error().code)}, {"why", result.error().text}});
  } else if (result && trouble_) {
    log(LogLevel::kInfo, "the store takes writes again");
  }
  trouble_ = result ? std::nullopt : std::optional(result.error());
}

std::optional<Error> StoreWorker::trouble() const {
  const std::lock_guard lock(mutex_);
  return trouble_;
}

void StoreWorker::probe() {
  {
    const std::lock_guard lock(mutex_);
    if (!trouble_) return;
    probe_ = true;
  }
  wake_.notify_one();
}

std::uint64_t StoreWorker::waiting() const {
  const std::lock_guard lock(mutex_);
  return queue_.size();
}

}  // namespace godwit::runtime
