#include "io/loop.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <string>
#include <thread>

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

}  // namespace
}  // namespace godwit::io
