#include "runtime/store_worker.h"

#include <gtest/gtest.h>

#include <future>

#include "base/limits.h"
#include "ports/faulty_store.h"

namespace godwit::runtime {
namespace {

using ports::Batch;
using ports::Durability;
using ports::Scan;
using ports::Space;

// Records the groups it is given, and waits at the first write until it is let go.
class GatedStore final : public ports::Store {
 public:
  Result<void> write(std::span<const Batch> batches, Durability durability) override {
    EXPECT_EQ(durability, Durability::kSafe);
    entered.store(true);
    entered.notify_all();
    gate.wait(false);
    groups.push_back(batches.size());
    return inner.write(batches, durability);
  }
  Result<std::vector<ports::Row>> scan(const Scan& scan) override { return inner.scan(scan); }
  Result<void> expire(Instant now) override { return inner.expire(now); }
  Result<std::uint64_t> count(Space space) override { return inner.count(space); }
  void set_now(Instant now) override { inner.set_now(now); }

  std::atomic<bool> entered = false;
  std::atomic<bool> gate = false;
  std::vector<std::size_t> groups;
  ports::FaultyStore inner;
};

StoreJob put(std::uint64_t token, std::string_view partition, std::string_view value,
             std::uint16_t shard = 0) {
  Batch batch{to_bytes(partition), {}};
  batch.put(Space::kQueue, to_bytes("k"), to_bytes(value));
  return {{shard}, token, std::move(batch)};
}
StoreJob get(std::uint64_t token, std::string_view partition) {
  return {{0}, token, Scan{to_bytes(partition), Space::kQueue, {}, {}}};
}

class StoreWorkerTest : public testing::Test {
 protected:
  void start() {
    worker_.emplace(store_, [this](ShardId shard, std::vector<StoreReport> reports) {
      for (StoreReport& report : reports) {
        order_.push_back(report.token);
        reports_[report.token] = std::move(report);
        shards_[report.token] = shard;
      }
    });
  }
  void open_gate() {
    store_.gate = true;
    store_.gate.notify_all();
  }
  // Lets one write block the worker, so that what follows piles up.
  void block() {
    start();
    std::vector<StoreJob> first;
    first.push_back(put(1000, "first", "v"));
    worker_->submit(std::move(first));
    store_.entered.wait(false);
  }
  void finish() {
    open_gate();
    worker_.reset();
  }
  std::string read_value(std::uint64_t token) {
    const auto& rows = std::get<Result<std::vector<ports::Row>>>(reports_.at(token).result);
    return rows && !rows->empty() ? to_string(rows->front().value) : "";
  }
  Result<void> written(std::uint64_t token) {
    return std::get<Result<void>>(reports_.at(token).result);
  }

  GatedStore store_;
  std::optional<StoreWorker> worker_;
  std::vector<std::uint64_t> order_;
  std::map<std::uint64_t, StoreReport> reports_;
  std::map<std::uint64_t, ShardId> shards_;
};

TEST_F(StoreWorkerTest, WritesThatWaitAreOneGroupAndAReadSeesThoseOfItsPartition) {
  block();
  std::vector<StoreJob> jobs;
  jobs.push_back(put(1, "a", "1", 3));
  jobs.push_back(put(2, "b", "2"));
  jobs.push_back(get(3, "c"));
  jobs.push_back(put(4, "c", "3"));
  jobs.push_back(get(5, "b"));
  jobs.push_back(put(6, "b", "4"));
  jobs.push_back(get(7, "b"));
  worker_->submit(std::move(jobs));
  EXPECT_EQ(worker_->waiting(), 7U);
  finish();
  EXPECT_EQ(store_.groups, (std::vector<std::size_t>{1, 3, 1}));
  EXPECT_EQ(order_.size(), 8U);
  EXPECT_EQ(order_[1], 3U) << "a read of another partition waits for no write";
  EXPECT_EQ(read_value(3), "");
  EXPECT_EQ(read_value(5), "2");
  EXPECT_EQ(read_value(7), "4");
  EXPECT_EQ(shards_[1], ShardId{3});
  for (const std::uint64_t token : {1, 2, 4, 6}) EXPECT_TRUE(written(token));
}

TEST_F(StoreWorkerTest, ABatchThatIsTooLargeSpoilsNoOther) {
  block();
  std::vector<StoreJob> jobs;
  jobs.push_back(put(1, "a", "1"));
  jobs.push_back(put(2, std::string(limits::kMaxPartition + 1, 'x'), "2"));
  worker_->submit(std::move(jobs));
  finish();
  EXPECT_TRUE(written(1));
  EXPECT_EQ(written(2).error().code, Code::kTooLarge);
}

TEST_F(StoreWorkerTest, AFullDiskIsKnownUntilAProbeSucceeds) {
  store_.inner.set_full(true);
  block();
  finish();
  EXPECT_EQ(written(1000).error().code, Code::kFull);
  start();
  worker_->probe();
  finish();
  start();
  std::vector<StoreJob> jobs;
  jobs.push_back(put(1, "a", "1"));
  worker_->submit(std::move(jobs));
  while (!worker_->trouble()) std::this_thread::yield();
  EXPECT_EQ(worker_->trouble()->code, Code::kFull);
  store_.inner.set_full(false);
  worker_->probe();
  finish();
  EXPECT_EQ(store_.groups.back(), 1U);
  EXPECT_TRUE(store_.inner.get(view_of("probe"), Space::kMeta, view_of("probe")));
}

TEST_F(StoreWorkerTest, BeyondTheBoundJobsAreRefused) {
  block();
  std::vector<StoreJob> jobs;
  const std::string large(1024 * 1024, 'x');
  const std::uint64_t fit = limits::kStoreQueueBytes / large.size();
  for (std::uint64_t i = 0; i < fit + 5; ++i) jobs.push_back(put(i, "a", large));
  jobs.push_back(get(500, "a"));
  worker_->submit(std::move(jobs));
  EXPECT_EQ(written(fit + 4).error().code, Code::kUnavailable);
  finish();
  EXPECT_EQ(reports_.size(), fit + 5 + 2);
  EXPECT_TRUE(written(0));
}

}  // namespace
}  // namespace godwit::runtime
