#include "server/handshake_queue.h"

#include <gtest/gtest.h>

#include "base/limits.h"

namespace godwit::server {
namespace {

using Verdict = HandshakeQueue::Verdict;

TEST(HandshakeQueue, networks_take_turns) {
  HandshakeQueue queue;
  for (std::uint64_t ticket = 0; ticket < 100; ++ticket) {
    EXPECT_EQ(queue.push(7, ticket), Verdict::kWaits);
  }
  EXPECT_EQ(queue.push(3, 1000), Verdict::kWaits);
  EXPECT_EQ(queue.push(9, 2000), Verdict::kWaits);
  EXPECT_EQ(queue.pop(), 1000u);
  EXPECT_EQ(queue.pop(), 0u);
  EXPECT_EQ(queue.pop(), 2000u);
  EXPECT_EQ(queue.pop(), 1u);  // a network's own in their order
  EXPECT_EQ(queue.pop(), 2u);
}

TEST(HandshakeQueue, one_network_cannot_fill_it) {
  HandshakeQueue queue;
  for (std::size_t i = 0; i < limits::kHandshakesPerNetwork; ++i) {
    ASSERT_EQ(queue.push(1, i), Verdict::kWaits);
  }
  EXPECT_EQ(queue.push(1, 0), Verdict::kNetworkFull);
  EXPECT_EQ(queue.push(2, 0), Verdict::kWaits);
  queue.pop();  // of network 1 or 2
  queue.pop();
  EXPECT_EQ(queue.push(1, 0), Verdict::kWaits);
}

TEST(HandshakeQueue, is_bounded_and_recovers) {
  HandshakeQueue queue;
  std::uint64_t pushed = 0;
  for (std::uint64_t network = 0; queue.push(network, network) == Verdict::kWaits; ++network) {
    ++pushed;
  }
  EXPECT_EQ(pushed, limits::kHandshakesWaiting);
  EXPECT_EQ(queue.push(123456, 0), Verdict::kFull);
  for (std::uint64_t i = 0; i < pushed; ++i) ASSERT_TRUE(queue.pop().has_value());
  EXPECT_TRUE(queue.empty());
  EXPECT_EQ(queue.pop(), std::nullopt);
  EXPECT_EQ(queue.push(1, 5), Verdict::kWaits);
  EXPECT_EQ(queue.pop(), 5u);
}

}  // namespace
}  // namespace godwit::server
