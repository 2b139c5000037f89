// Receipts of a group's members: few, and never in a message's place.
#include "sim/test_group_world.h"

namespace godwit::sim {
namespace {

using client::Status;

class GroupReceipts : public GroupWorld {
 protected:
  void SetUp() override {
    GroupWorld::SetUp();
    std::vector<Phone*> others;
    for (std::uint16_t n = 1; n <= kMembers; ++n) {
      Phone& phone = enroll(n);
      if (n > 1) others.push_back(&phone);
    }
    alice = phones[0].get();
    group = create(*alice, "Flock", others);
  }
  void go_away(Phone& phone) {
    phone.reachable = false;
    restart(phone);
  }
  void come_back(Phone& phone) {
    phone.reachable = true;
    pass(minutes(2));
  }
  void read(Phone& by) {
    ASSERT_TRUE(run(
        by, [&](Engine& e, Env& at, client::Effects& out) { return e.mark_read(group, at, out); }));
  }
  // How many members have it, and have read it.
  std::pair<std::size_t, std::size_t> progress(MessageId id) {
    const auto found = client::find_messages(alice->store, to_hex(id.view()));
    std::pair<std::size_t, std::size_t> out;
    if (!found || found->size() != 1) return out;
    for (const auto& arrival : found->front().arrivals) {
      out.first += arrival.delivered.ms != 0 ? 1 : 0;
      out.second += arrival.read.ms != 0 ? 1 : 0;
    }
    return out;
  }
  std::size_t mail() { return *store.count(ports::Space::kQueue); }

  static constexpr std::size_t kMembers = 24;  // who gather for more than a second
  using Progress = std::pair<std::size_t, std::size_t>;
  Phone* alice = nullptr;
  GroupId group;
};

TEST_F(GroupReceipts, EachMemberSendsOneForAllThatTheyGotAndRead) {
  std::vector<MessageId> said;
  for (int i = 0; i < 20; ++i) said.push_back(*say(*alice, group, std::to_string(i)));
  for (std::size_t i = 1; i <= 10; ++i) read(*phones[i]);
  go_away(*alice);
  EXPECT_EQ(mail(), 0u);
  pass(seconds(10));
  EXPECT_EQ(mail(), kMembers - 1);
  come_back(*alice);
  for (const MessageId id : said) EXPECT_EQ(progress(id), Progress(kMembers - 1, 10));
  // What is read after it was called delivered is told, too.
  for (std::size_t i = 11; i < kMembers; ++i) read(*phones[i]);
  pass(seconds(10));
  for (const MessageId id : said) EXPECT_EQ(progress(id), Progress(kMembers - 1, kMembers - 1));
}

TEST_F(GroupReceipts, ThoseOfASmallGroupTakeNoSecond) {
  const GroupId few = create(*alice, "Few", {phones[1].get(), phones[2].get()});
  const auto id = say(*alice, few, "quick");
  pass(seconds(2));
  EXPECT_EQ(progress(*id).first, 2u);
}

TEST_F(GroupReceipts, WhatGathersIsKeptAndGoesWithWhatElseIsSaid) {
  const auto first = say(*alice, group, "old news");
  const auto id = say(*alice, group, "news");
  restart(*phones[1]);
  (void)run(*phones[2], [&](Engine& e, Env& at, client::Effects& out) {
    return e.send(alice->number, {.body = "thanks"}, {}, at, out);
  });
  pass(seconds(1));  // who restarts connects; nothing has gathered for long enough
  EXPECT_EQ(progress(*id).first, 2u);
  pass(seconds(4));
  for (const MessageId each : {*first, *id}) EXPECT_EQ(progress(each).first, kMembers - 1);
}

TEST_F(GroupReceipts, AMailboxWithoutRoomForThemTakesMessages) {
  std::size_t refused = 0;
  refuses = [&](const proto::Frame& frame) -> std::optional<proto::ErrorBody> {
    if (frame.kind != proto::Kind::kSubmit) return std::nullopt;
    const auto submit = decode<proto::Submit>(frame.body);
    if (!submit || !submit->courtesy) return std::nullopt;
    ++refused;
    return proto::ErrorBody{.code = Code::kFull, .retry_after = minutes(1)};
  };
  const auto id = say(*alice, group, "much read");
  pass(minutes(10));
  EXPECT_EQ(refused, kMembers - 1) << "repeated too soon, or not tried";
  EXPECT_EQ(progress(*id).first, 0u);
  // What they say now is not behind their receipts.
  ASSERT_TRUE(run(*phones[1], [&](Engine& e, Env& at, client::Effects& out) {
    return e.send(alice->number, {.body = "hello"}, {}, at, out);
  }));
  EXPECT_EQ(events<client::MessageReceived>(*alice).back().message.text, "hello");
  EXPECT_EQ(progress(*id).first, 1u);
  refuses = nullptr;
  read(*phones[2]);
  pass(minutes(31));
  EXPECT_EQ(progress(*id), Progress(kMembers - 1, 1));
}

}  // namespace
}  // namespace godwit::sim
