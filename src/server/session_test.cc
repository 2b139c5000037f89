#include "server/session.h"

#include <gtest/gtest.h>

namespace godwit::server {
namespace {

constexpr SessionAddress kSelf{{0}, {1}};
constexpr std::uint64_t kAttachment = 77;

class SessionTest : public testing::Test {
 protected:
  SessionTest() { EXPECT_FALSE(ends(Verb::kAttached, 0, kAttachment)); }

  // What the account posts, and whether it ends the connection.
  bool ends(Verb verb, std::uint64_t request, std::uint64_t number) {
    Message m;
    m.verb = verb;
    m.session = kSelf;
    m.request = request;
    m.number = number;
    m.from = UserId{{7}};
    m.from_device = {1};
    Effects out;
    session_.on_message(std::move(m), out);
    return !out.empty() && std::holds_alternative<Hang>(out.back());
  }

  // Whether the account is asked.
  bool asks(std::uint64_t up_to, Duration at) {
    Effects out;
    session_.on_frame(proto::make_frame(proto::Kind::kPing, 9, proto::Ping{{up_to}}), {},
                      Instant{1'800'000'000'000} + at, out);
    return std::holds_alternative<Post>(out.at(0));
  }

  Session session_{kSelf, {}};
};

TEST_F(SessionTest, TakesPushesInOrderAndRepetitionsOnce) {
  EXPECT_FALSE(ends(Verb::kPush, kAttachment, 1));
  EXPECT_FALSE(ends(Verb::kPush, kAttachment, 2));
  EXPECT_FALSE(ends(Verb::kPush, kAttachment, 2));
  EXPECT_TRUE(ends(Verb::kPush, kAttachment, 4));
}

// Pings that a stall has brought together are answered while pushes are on their way.
TEST_F(SessionTest, EndsWhenAPushThatLeftBeforeAnAnswerIsMissing) {
  EXPECT_FALSE(ends(Verb::kPush, kAttachment, 1));
  EXPECT_FALSE(ends(Verb::kReply, 9, 1));
  EXPECT_FALSE(ends(Verb::kReply, 9, 0));  // an answer that counts nothing
  EXPECT_FALSE(ends(Verb::kPush, kAttachment, 2));
  EXPECT_FALSE(ends(Verb::kReply, 9, 2));
  EXPECT_TRUE(ends(Verb::kReply, 9, 3));
}

TEST_F(SessionTest, AsksTheAccountWhenAPingAcknowledgesNewsAndFromTimeToTime) {
  EXPECT_TRUE(asks(1, {}));
  for (const int second : {25, 50, 75}) EXPECT_FALSE(asks(1, seconds(second))) << second;
  EXPECT_TRUE(asks(1, seconds(100)));
  EXPECT_FALSE(asks(1, seconds(125)));
  EXPECT_TRUE(asks(2, seconds(126)));
  EXPECT_FALSE(asks(2, seconds(150)));
}

TEST_F(SessionTest, AsksTheAccountEachTimeWhenPingsAreRare) {
  for (int n = 0; n < 5; ++n) EXPECT_TRUE(asks(1, limits::kPingMost * n)) << n;
}

}  // namespace
}  // namespace godwit::server
