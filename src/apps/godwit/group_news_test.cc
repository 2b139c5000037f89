#include "apps/godwit/group_news.h"

#include <gtest/gtest.h>

namespace godwit::cli {
namespace {

using client::GroupView;
using Texts = std::vector<std::string>;

UserId user(std::uint8_t octet) { return UserId{ByteArray<16>{octet}}; }

class GroupNewsTest : public testing::Test {
 protected:
  GroupNewsTest() {
    before_.member = true;
    before_.name = "Birds";
    before_.members = {{user(1), "+1", true}, {user(2), "+2", false}};
    after_ = before_;
  }
  Texts news(UserId actor = {}) const { return group_news(before_, after_, actor, "+1"); }
  GroupView before_, after_;
};

TEST_F(GroupNewsTest, NothingHappened) { EXPECT_EQ(news(), Texts{}); }

TEST_F(GroupNewsTest, WhoCameAndWent) {
  after_.members.push_back({user(3), "+3", false});
  EXPECT_EQ(news(user(2)), Texts{"+2 added +3"});
  EXPECT_EQ(news(user(1)), Texts{"you added +3"});
  EXPECT_EQ(news(user(3)), Texts{"+3 joined by the link"});
  EXPECT_EQ(news(), Texts{"+3 is in the group now"});
  std::swap(before_, after_);
  EXPECT_EQ(news(user(2)), Texts{"+2 removed +3"});
  EXPECT_EQ(news(user(3)), Texts{"+3 left"});
  EXPECT_EQ(news(), Texts{"+3 is not in the group any more"});
}

TEST_F(GroupNewsTest, WhoIsNotKnownYetIsToldALittleLater) {
  GroupTeller teller(before_);
  after_.members.push_back({user(3), {}, false});
  EXPECT_EQ(teller.tell({after_, user(2)}, "+1"), Texts{});
  after_.members.back().phone = "+3";
  EXPECT_EQ(teller.tell({after_, {}}, "+1"), Texts{"+2 added +3"});
  after_.members.push_back({user(4), {}, false});
  EXPECT_EQ(teller.tell({after_, user(2)}, "+1"), Texts{});
  after_.announcements = true;
  const Texts told = teller.tell({after_, user(1)}, "+1");
  ASSERT_EQ(told.size(), 2U) << "nothing is kept back for ever";
  EXPECT_TRUE(told[0].starts_with("+2 added user:04"));
  EXPECT_EQ(told[1], "only admins send now");
}

TEST_F(GroupNewsTest, ManyAreCounted) {
  for (std::uint8_t i = 3; i < 9; ++i) after_.members.push_back({user(i), {}, false});
  EXPECT_EQ(news(user(2)), Texts{"+2 added 6 people"});
}

TEST_F(GroupNewsTest, TheOwnComingAndGoing) {
  before_ = {};
  EXPECT_EQ(news(user(2)), Texts{"+2 added you: the group has 1 other member"});
  EXPECT_EQ(news(), Texts{"you are in the group now, with 1 other member"});
  before_ = after_;
  after_.member = false;
  after_.members.erase(after_.members.begin());
  after_.name = "Beasts";
  EXPECT_EQ(news(user(2)), Texts{"+2 removed you"});
}

TEST_F(GroupNewsTest, RolesAndWhatTheGroupSays) {
  after_.members[1].admin = true;
  EXPECT_EQ(news(user(1)), Texts{"you made +2 an admin"});
  EXPECT_EQ(news(), Texts{"+2 is an admin now"});
  after_ = before_;
  after_.members[0].admin = false;
  EXPECT_EQ(news(user(2)), Texts{"+2 made you an ordinary member"});
  after_ = before_;
  after_.name = "Beasts";
  after_.announcements = true;
  EXPECT_EQ(news(user(2)), (Texts{"+2 called the group \"Beasts\"", "only admins send now"}));
}

TEST_F(GroupNewsTest, WhoAsksToJoinIsToldToAdminsOnceTheNumberIsKnown) {
  after_.pending = {{user(3), {}, false}};
  EXPECT_EQ(news(user(3)), Texts{});
  before_ = after_;
  after_.pending[0].phone = "+3";
  const Texts asks{"+3 asks to join (godwit group approve)"};
  EXPECT_EQ(news(), asks);
  before_ = after_;
  EXPECT_EQ(news(), Texts{});
  before_.pending.clear();
  after_.members[0].admin = false;
  before_.members[0].admin = false;
  EXPECT_EQ(news(), Texts{});
}

}  // namespace
}  // namespace godwit::cli
