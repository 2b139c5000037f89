// The test suite of every Bus. A test program includes it once and instantiates it.
// For test programs only.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <vector>

#include "ports/bus.h"

namespace godwit::ports {

// One bus with two shards that listen: 1 and 2.
class BusBench {
 public:
  virtual ~BusBench() = default;
  virtual Bus& bus() = 0;
  // Everything that reached `shard` since the last call, once what was published has settled.
  virtual std::vector<Bytes> arrived(ShardId shard) = 0;
};

class BusConformance : public testing::TestWithParam<std::function<std::unique_ptr<BusBench>()>> {
 protected:
  std::unique_ptr<BusBench> bench_ = GetParam()();
};

TEST_P(BusConformance, MessagesReachTheirShardOnceAndWhole) {
  const Bytes empty, large(1024 * 1024, 0x5a);
  bench_->bus().publish(ShardId{1}, empty);
  bench_->bus().publish(ShardId{1}, large);
  bench_->bus().publish(ShardId{2}, to_bytes("two"));
  auto first = bench_->arrived(ShardId{1});
  std::ranges::sort(first);  // the port promises no order
  EXPECT_EQ(first, (std::vector<Bytes>{empty, large}));
  EXPECT_EQ(bench_->arrived(ShardId{2}), std::vector<Bytes>{to_bytes("two")});
  EXPECT_TRUE(bench_->arrived(ShardId{1}).empty());
}

TEST_P(BusConformance, AMessageToNobodyIsDropped) {
  bench_->bus().publish(ShardId{99}, to_bytes("lost"));
  EXPECT_TRUE(bench_->arrived(ShardId{1}).empty());
}

}  // namespace godwit::ports
