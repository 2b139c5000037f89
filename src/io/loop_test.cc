#include "io/loop.h"

#include <gtest/gtest.h>

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <string>
#include <thread>
#include <utility>

namespace godwit::io {
namespace {

std::unique_ptr<Loop> make_loop() {
  auto loop = Loop::create();
  EXPECT_TRUE(loop);
  return std::move(*loop);
}

TEST(Loop, TimersRunInOrderOfTheirTimeAndNotWhenCancelled) {
  const auto loop = make_loop();
  std::string order;
  loop->after(milliseconds(20), [&] { order += 'c'; });
  loop->after(milliseconds(1), [&] { order += 'a'; });
  const Loop::TimerId cancelled = loop->after(milliseconds(5), [&] { order += 'x'; });
  loop->after(milliseconds(10), [&] { order += 'b'; });
  loop->after(milliseconds(30), [&] { loop->stop(); });
  loop->cancel(cancelled);
  loop->cancel(cancelled);
  loop->run();
  EXPECT_EQ(order, "abc");
}

TEST(Loop, ATimerThatSetsItselfAgainDoesNotStarveTheLoop) {
  const auto loop = make_loop();
  int runs = 0;
  std::function<void()> again = [&] {
    ++runs;
    loop->after(milliseconds(0), again);
  };
  again();
  loop->after(milliseconds(5), [&] { loop->stop(); });
  loop->run();
  EXPECT_GT(runs, 1);
}

TEST(Loop, TasksOfOtherThreadsRunInTheirOrder) {
  const auto loop = make_loop();
  constexpr int kThreads = 4, kTasks = 2000;
  std::vector<std::vector<int>> seen(kThreads);
  std::atomic<int> left = kThreads;
  std::vector<std::jthread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < kTasks; ++i) {
        loop->post([&seen, t, i] { seen[static_cast<std::size_t>(t)].push_back(i); });
      }
      if (--left == 0) loop->stop();
    });
  }
  loop->run();
  for (const auto& list : seen) {
    ASSERT_EQ(list.size(), static_cast<std::size_t>(kTasks));
    EXPECT_TRUE(std::ranges::is_sorted(list));
  }
}

TEST(Loop, TasksMayPostTasks) {
  const auto loop = make_loop();
  int runs = 0;
  loop->post([&] {
    ++runs;
    loop->post([&] {
      ++runs;
      loop->stop();
    });
  });
  loop->run();
  EXPECT_EQ(runs, 2);
}

// Descriptors that always have something to say, and take a while to hear.
class Talkers : private Source {
 public:
  Talkers(Loop& loop, std::uint32_t count) : loop_(loop), source_(loop.add_source(*this)) {
    for (std::uint32_t i = 0; i < count; ++i) {
      talkers_.push_back(eventfd(1, EFD_NONBLOCK | EFD_CLOEXEC));
      EXPECT_TRUE(loop_.watch(talkers_.back(), source_, i, 0, EPOLLIN));
    }
  }
  ~Talkers() override { silence(); }
  void silence() {
    for (const int fd : std::exchange(talkers_, {})) close(fd);
  }

 private:
  void on_ready(std::uint32_t, std::uint32_t, std::uint32_t) override {
    std::this_thread::sleep_for(std::chrono::microseconds(50));
  }
  Loop& loop_;
  const std::uint8_t source_;
  std::vector<int> talkers_;
};

TEST(Loop, TellsHowLongWhoHasSomethingToSayWaits) {
  const auto loop = make_loop();
  EXPECT_EQ(loop->take_delay(), std::nullopt);
  Talkers talkers(*loop, 1500);  // 75 ms a round, and more than one turn's
  std::optional<Duration> soon, again, crowded, quiet;
  loop->after(milliseconds(60), [&] {  // of the first, which still waits
    soon = loop->take_delay();
    again = loop->take_delay();
  });
  loop->after(milliseconds(400), [&] {
    crowded = loop->take_delay();
    talkers.silence();
    loop->after(milliseconds(1), [&] {  // in this turn the probe may come yet
      loop->after(milliseconds(1), [&] {
        quiet = loop->take_delay();
        loop->stop();
      });
    });
  });
  loop->run();
  EXPECT_GE(soon.value_or(Duration{}), milliseconds(30));
  EXPECT_EQ(again, std::nullopt);
  EXPECT_GE(crowded.value_or(Duration{}), milliseconds(75));
  EXPECT_EQ(quiet, Duration{});
}

TEST(Loop, ALoopThatIsHeldIsNotLate) {
  const auto loop = make_loop();
  Talkers talkers(*loop, 1500);
  std::optional<Duration> held;
  loop->after(milliseconds(200), [&] { loop->hold(true); });
  loop->after(milliseconds(600), [&] {
    held = loop->take_delay();
    loop->stop();
  });
  loop->run();
  EXPECT_LT(held.value_or(Duration{}), milliseconds(300));
}

}  // namespace
}  // namespace godwit::io
