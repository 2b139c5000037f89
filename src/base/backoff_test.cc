#include "base/backoff.h"

#include <gtest/gtest.h>

#include <set>

namespace godwit {
namespace {

TEST(BackoffTest, DoublesUpToItsCeilingAndStartsOverAfterASuccess) {
  SeededEntropy entropy(1);
  Backoff backoff(milliseconds(250), seconds(60));
  for (int round = 0; round < 3; ++round) {
    std::int64_t ceiling = 250;
    for (int i = 0; i < 200; ++i) {
      const Duration wait = backoff.next(entropy);
      EXPECT_GE(wait.ms, ceiling / 2);
      EXPECT_LE(wait.ms, ceiling);
      ceiling = std::min<std::int64_t>(2 * ceiling, 60'000);
    }
    EXPECT_EQ(backoff.tries(), 200u);
    backoff.reset();
  }
}

// Thousands whose server was restarted do not come at the same moment.
TEST(BackoffTest, NoTwoComeAtTheSameTime) {
  SeededEntropy entropy(2);
  std::set<std::int64_t> waits;
  for (int i = 0; i < 1000; ++i) {
    Backoff backoff(seconds(32), seconds(60));
    waits.insert(backoff.next(entropy).ms);
  }
  EXPECT_GT(waits.size(), 950u);
}

}  // namespace
}  // namespace godwit
