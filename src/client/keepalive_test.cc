#include "client/keepalive.h"

#include <gtest/gtest.h>

namespace godwit::client {
namespace {

constexpr Instant kStart{1'000'000};

// Answers until the interval grows no more.
Duration grown(Keepalive& keepalive) {
  for (int i = 0; i < 20; ++i) keepalive.answered();
  return keepalive.interval();
}

TEST(Keepalive, dares_more_with_each_answer_up_to_the_most) {
  Keepalive keepalive;
  keepalive.begin(true, kStart);
  EXPECT_EQ(keepalive.interval(), limits::kPingInterval);
  keepalive.answered();
  EXPECT_EQ(keepalive.interval(), Duration{limits::kPingInterval.ms * 3 / 2});
  EXPECT_EQ(grown(keepalive), limits::kPingMost);
  keepalive.begin(true, kStart + hours(1));
  EXPECT_EQ(keepalive.interval(), limits::kPingInterval);  // perhaps another network
}

TEST(Keepalive, stays_below_the_silence_that_a_connection_died_of) {
  Keepalive keepalive;
  keepalive.begin(true, kStart);
  while (keepalive.interval() < minutes(2)) keepalive.answered();
  const Duration deadly = keepalive.interval();
  keepalive.unanswered();
  keepalive.begin(true, kStart);
  EXPECT_EQ(grown(keepalive), Duration{deadly.ms * 2 / 3});
  keepalive.begin(true, kStart + limits::kPingMemory);
  EXPECT_EQ(grown(keepalive), Duration{deadly.ms * 2 / 3});
  keepalive.begin(true, kStart + limits::kPingMemory + milliseconds(1));
  EXPECT_EQ(grown(keepalive), limits::kPingMost);
}

TEST(Keepalive, a_server_that_was_away_teaches_nothing) {
  Keepalive keepalive;
  keepalive.begin(true, kStart);
  grown(keepalive);
  keepalive.unanswered();
  keepalive.begin(false, kStart + minutes(1));
  EXPECT_EQ(grown(keepalive), limits::kPingMost);
}

TEST(Keepalive, never_asks_more_often_than_at_first) {
  Keepalive keepalive;
  for (int i = 0; i < 5; ++i) {
    keepalive.begin(true, kStart);
    keepalive.unanswered();
  }
  keepalive.begin(true, kStart);
  EXPECT_EQ(grown(keepalive), limits::kPingInterval);
}

}  // namespace
}  // namespace godwit::client
