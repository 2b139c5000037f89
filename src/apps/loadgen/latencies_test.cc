#include "apps/loadgen/latencies.h"

#include <gtest/gtest.h>

namespace godwit::loadgen {
namespace {

TEST(Latencies, QuantilesAreExactToTwoPercent) {
  Latencies all;
  for (int i = 1; i <= 100'000; ++i) all.add(i * 10);
  for (const double share : {0.01, 0.5, 0.99, 0.999, 1.0}) {
    const double exact = share * 1'000'000;
    EXPECT_NEAR(static_cast<double>(all.quantile(share)), exact, exact * 0.02) << share;
  }
}

TEST(Latencies, SmallOnesAreExactAndTheRestIsCapped) {
  Latencies all;
  EXPECT_EQ(all.quantile(0.5), 0);
  for (int i = 0; i < 128; ++i) {
    Latencies one;
    one.add(i);
    EXPECT_EQ(one.quantile(1), i);
    all.merge(one);
  }
  EXPECT_EQ(all.count(), 128U);
  EXPECT_EQ(all.quantile(0.5), 63);
  Latencies cap;
  cap.add(INT64_MAX);
  cap.add(-5);
  EXPECT_EQ(cap.quantile(0.5), 0);
  EXPECT_GT(cap.quantile(1), 2'000'000'000);
}

}  // namespace
}  // namespace godwit::loadgen
