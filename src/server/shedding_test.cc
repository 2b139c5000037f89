#include "server/shedding.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "base/limits.h"

namespace godwit::server {
namespace {

// A loop that hears everybody in rounds: what came during one is done in the next.
class Rounds {
 public:
  static constexpr std::int64_t kTake = 100, kRefuse = 12;  // us each: at most 10 in a ms

  // `asked` in a ms, for `time`; how many were taken, most ms that anybody waited from `settled`
  // on.
  struct Told {
    std::int64_t taken = 0;
    std::int64_t longest = 0;
  };
  Told run(std::int64_t asked, Duration time, Duration settled = {}) {
    Told told;
    for (std::int64_t spent = 0; spent < time.ms * 1000;) {
      std::int64_t round = 500;
      for (came_ += asked * round_; came_ >= 1000; came_ -= 1000) {
        const bool refused = shedding_.refuses();
        round += refused ? kRefuse : kTake;
        told.taken += !refused;
        if (!refused) shedding_.served();  // an acknowledgement
      }
      round_ = round;
      spent += round;
      since_ += round;
      if (spent > settled.ms * 1000) told.longest = std::max(told.longest, round / 1000);
      const std::int64_t interval = limits::kShedInterval.ms * 1000;
      const bool observes = since_ >= interval;
      for (; since_ >= interval; since_ -= interval) shedding_.elapse();
      if (observes) shedding_.observe(milliseconds(round / 1000));
    }
    return told;
  }

 private:
  Shedding shedding_;
  std::int64_t round_ = 1000, since_ = 0;  // us
  std::int64_t came_ = 0;  // in parts of 1000
};

TEST(Shedding, nothing_is_refused_while_nobody_waits) {
  Rounds rounds;
  EXPECT_GE(rounds.run(8, seconds(2)).taken, 8 * 1990);
}

TEST(Shedding, most_of_the_capacity_is_served_whatever_is_asked_for) {
  for (const std::int64_t asked : {12, 20, 30, 50}) {
    Rounds rounds;
    rounds.run(5, seconds(1));
    const auto told = rounds.run(asked, seconds(5), seconds(2));
    // What is left when the rest was refused: asked * kRefuse of a ms goes to that.
    const std::int64_t possible =
        (1000 - asked * Rounds::kRefuse) * 5000 / (Rounds::kTake - Rounds::kRefuse);
    EXPECT_GE(told.taken, possible * 9 / 10) << asked;
    EXPECT_LE(told.longest, 3 * limits::kShedTarget.ms) << asked;
  }
}

TEST(Shedding, it_ends_soon_after_the_overload) {
  Rounds rounds;
  rounds.run(30, seconds(5));
  rounds.run(5, seconds(2));
  EXPECT_GE(rounds.run(8, seconds(1)).taken, 8 * 990);
}

TEST(Shedding, what_is_not_its_fault_does_not_stop_all_submissions) {
  Shedding shedding;
  int taken = 0;
  for (int i = 0; i < 500; ++i) {
    shedding.elapse();
    shedding.observe(seconds(1));
    for (int ping = 0; ping < 320; ++ping) shedding.served();
    for (int n = 0; n < 100; ++n) taken += !shedding.refuses();
  }
  EXPECT_GE(taken, 500 * 320 / limits::kShedLeast / 2);
  EXPECT_LE(taken, 500 * 320 / limits::kShedLeast * 2);
}

}  // namespace
}  // namespace godwit::server
