#include "server/dormant.h"

#include <gtest/gtest.h>

namespace godwit::server {
namespace {

constexpr EntityKey kUser{7};
constexpr SessionAddress kSession{{0}, {1}}, kOther{{0}, {2}};

class DormantTest : public testing::Test {
 protected:
  DormantTest() {
    dormant_.sleep(kUser, {{{1}, {kSession, 100, 5}}, {{2}, {kOther, 200}}});
    dormant_.sleep({8}, {{{1}, {kSession, 300}}});
  }
  static Message message(Verb verb, SessionAddress session) {
    Message m;
    m.verb = verb;
    m.to = kUser;
    m.session = session;
    m.request = 9;
    m.from_device = {1};
    return m;
  }
  // What the session hears.
  std::optional<Verb> answer(const Message& m) {
    Effects out;
    EXPECT_TRUE(dormant_.on_message(m, out));
    if (out.empty()) return std::nullopt;
    EXPECT_EQ(std::get<Post>(out.at(0)).message.session, m.session);
    return std::get<Post>(out.at(0)).message.verb;
  }
  Dormant dormant_;
};

TEST_F(DormantTest, AnswersThePingsOfWhoIsAttached) {
  EXPECT_EQ(answer(message(Verb::kPing, kSession)), Verb::kReply);
  EXPECT_EQ(answer(message(Verb::kAck, kSession)), std::nullopt);
  EXPECT_EQ(answer(message(Verb::kPing, kOther)), Verb::kKick);
  EXPECT_EQ(answer(message(Verb::kAck, kOther)), Verb::kKick);
}

TEST_F(DormantTest, TellsHowManyPushesLeftBefore) {
  Effects out;
  dormant_.on_message(message(Verb::kPing, kSession), out);
  EXPECT_EQ(std::get<Post>(out.at(0)).message.number, 5u);
}

TEST_F(DormantTest, WakesWithWhatItSleptWith) {
  EXPECT_EQ(answer(message(Verb::kDetach, kOther)), std::nullopt);
  const Attachments woken = dormant_.wake(kUser);
  ASSERT_EQ(woken.size(), 1u);
  EXPECT_EQ(woken.at({1}).id, 100u);
  EXPECT_EQ(woken.at({1}).pushes, 5u);
  EXPECT_EQ(dormant_.size(), 1u);
  EXPECT_TRUE(dormant_.wake(kUser).empty());
  EXPECT_EQ(answer(message(Verb::kPing, kSession)), Verb::kKick);  // nobody is attached any more
}

TEST_F(DormantTest, AnythingElseTakesTheAccount) {
  Effects out;
  for (const Verb verb : {Verb::kAttach, Verb::kSubmit, Verb::kFetchBundles, Verb::kHint}) {
    EXPECT_FALSE(dormant_.on_message(message(verb, kSession), out));
  }
  EXPECT_TRUE(out.empty());
}

}  // namespace
}  // namespace godwit::server
