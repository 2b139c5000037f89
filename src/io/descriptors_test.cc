#include "io/descriptors.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <thread>

#include "io/loop.h"

namespace godwit::io {
namespace {

constexpr int kFar = 1000;

bool is_open(int fd) { return fcntl(fd, F_GETFD) >= 0; }

TEST(Descriptors, ATableHoldsWhatIsKeptAndWhatItsThreadOpens) {
  int kept[2], others[2];
  ASSERT_EQ(pipe(kept), 0);
  ASSERT_EQ(pipe(others), 0);
  std::thread([&] {
    ASSERT_TRUE(own_descriptor_table({kept[1]}));
    EXPECT_TRUE(is_open(STDERR_FILENO));
    EXPECT_TRUE(is_open(kept[1]));
    EXPECT_FALSE(is_open(kept[0]));
    EXPECT_FALSE(is_open(others[0]));
    EXPECT_FALSE(is_open(others[1]));
    close(others[1]);  // not the one that the other thread has under this number
    EXPECT_EQ(fcntl(kept[1], F_DUPFD, kFar), kFar);
    EXPECT_EQ(write(kept[1], "x", 1), 1);
  }).join();
  EXPECT_TRUE(is_open(others[1]));
  EXPECT_FALSE(is_open(kFar));
  char octet = 0;
  EXPECT_EQ(read(kept[0], &octet, 1), 1);
  for (const int fd : {kept[0], kept[1], others[0], others[1]}) close(fd);
}

TEST(Descriptors, LoopsWithTheirOwnTablesReachEachOther) {
  const auto first = Loop::create();
  const auto second = Loop::create();
  ASSERT_TRUE(first && second);
  const auto run = [&](Loop& loop) {
    return std::thread([&] {
      const auto [epoll, probe] = loop.own_descriptors();
      ASSERT_TRUE(own_descriptor_table(
          {epoll, probe, (*first)->wakeup_descriptor(), (*second)->wakeup_descriptor()}));
      loop.run();
    });
  };
  int rounds = 0;
  std::function<void()> ping = [&] {
    if (++rounds == 100) {
      (*first)->stop();
      (*second)->stop();
    }
    (rounds % 2 == 0 ? *first : *second)->post([&] { ping(); });
  };
  std::thread one = run(**first), other = run(**second);
  (*first)->post([&] { ping(); });
  one.join();
  other.join();
  EXPECT_GE(rounds, 100);
}

}  // namespace
}  // namespace godwit::io
