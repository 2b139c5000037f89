#include "sim/world.h"

#include <gtest/gtest.h>

namespace godwit::sim {
namespace {

TEST(WorldTest, ManyLivesKeepEveryPromise) {
  Statistics sum;
  for (std::uint64_t seed = 1; seed <= 150; ++seed) {
    World world(seed);
    const Outcome outcome = world.run();
    ASSERT_FALSE(outcome.violation)
        << "seed " << seed << ": " << outcome.violation->checker << ": " << outcome.violation->what;
    sum.composed += outcome.statistics.composed;
    sum.shown += outcome.statistics.shown;
    sum.faults += outcome.statistics.faults;
  }
  // A simulator in which nothing happens finds nothing.
  EXPECT_GT(sum.composed, 1000u);
  EXPECT_GT(sum.shown, 1000u);
  EXPECT_GT(sum.faults, 300u);
}

Statistics long_life(std::uint64_t seed) {
  World world(seed, {}, Length::kLong);
  const Outcome outcome = world.run();
  EXPECT_FALSE(outcome.violation) << "seed " << seed << ": " << outcome.violation->checker << ": "
                                  << outcome.violation->what;
  return outcome.statistics;
}

TEST(WorldTest, LongLivesKeepEveryPromise) {
  Statistics sum;
  for (const std::uint64_t seed : {3, 10}) {
    const Statistics one = long_life(seed);
    sum.deliveries += one.deliveries;
    sum.injuries += one.injuries;
    sum.requested += one.requested;
    sum.sealed += one.sealed;
    sum.named += one.named;
  }
  EXPECT_GT(sum.deliveries, 5000u);
  EXPECT_GT(sum.injuries, 100u);
  EXPECT_GT(sum.requested, 0u);
  EXPECT_GT(sum.sealed, 3 * sum.named);
}

// What is damaged in a seal is delivered again; without, it is asked for.
TEST(WorldTest, LongLivesWithoutCertificatesKeepEveryPromise) {
  const Statistics one = long_life(43);
  EXPECT_GT(one.requested, 50u);
  EXPECT_EQ(one.sealed, 0u);
}

TEST(WorldTest, OneSeedIsOneLife) {
  for (std::uint64_t seed = 1000; seed < 1010; ++seed) {
    std::uint64_t lines = 0;
    World first(seed);
    World second(seed, [&](const std::string&) { ++lines; });  // watching changes nothing
    const std::uint64_t hash = first.run().hash;
    EXPECT_EQ(hash, second.run().hash);
    EXPECT_NE(hash, World(seed + 1).run().hash);
    EXPECT_GT(lines, 0u);
  }
}

}  // namespace
}  // namespace godwit::sim
