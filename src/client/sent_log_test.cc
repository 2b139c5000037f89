#include "client/sent_log.h"

#include <gtest/gtest.h>

namespace godwit::client {
namespace {

// Telling a large group's members how to read must not make what was said to people unrepeatable.
TEST(SentLog, NoticesLeaveBeforeMessages) {
  SeededEntropy entropy(1);
  Env env{{1000}, entropy};
  Turn turn{env};
  SentLog log;
  const auto add = [&](std::uint64_t order, bool notice) {
    Item item{.order = order, .id = MessageId::random(entropy), .to = UserId::random(entropy)};
    if (notice) item.group_key = GroupKey{};
    else item.text = Text{.body = "hello"};
    log.add({.item = std::move(item), .number = 1, .accepted = env.now}, turn);
  };
  add(1, false);
  for (std::uint64_t order = 2; order <= limits::kSentItems + 100; ++order) add(order, true);
  EXPECT_EQ(log.size(), limits::kSentItems);
  EXPECT_EQ(log.at(1).item.text->body, "hello");
  env.now = env.now + limits::kSentLifetime + seconds(1);
  add(limits::kSentItems + 101, true);
  EXPECT_EQ(log.size(), 1u);
}

}  // namespace
}  // namespace godwit::client
