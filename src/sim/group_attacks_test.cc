// Who was in a group and is not any more: keeps all that they ever had, sees all that passes
// through the server, and has its help.
#include "client/rows.h"
#include "e2e/sender_key.h"
#include "sim/test_group_world.h"

namespace godwit::sim {
namespace {

using Act = Engine::GroupAct;
using Texts = std::vector<std::string>;

class GroupAttacks : public GroupWorld {
 protected:
  void SetUp() override {
    GroupWorld::SetUp();
    from_server = [this](proto::Frame& frame) {
      const auto deliver = decode<proto::Deliver>(frame.body);
      if (frame.kind != proto::Kind::kDeliver || !deliver) return true;
      for (const auto& delivery : deliver->deliveries) traffic.push_back(delivery);
      return true;
    };
  }

  // The chains of a group that a device can read with now.
  std::vector<e2e::SenderKey> chains_of(Phone& phone, GroupId group) {
    std::vector<e2e::SenderKey> out;
    const Bytes first = client::row_key('K', group);
    const auto rows = phone.store.scan(
        {Engine::partition(), ports::Space::kChat, first, client::after_prefix(first)});
    for (const auto& row : *rows) {
      out.push_back(*e2e::SenderKey::parse(decode<client::KeyRow>(row.value)->key));
    }
    return out;
  }
  // How many messages of the traffic since `mark` these chains read, of how many.
  std::pair<std::size_t, std::size_t> read(const std::vector<e2e::SenderKey>& chains,
                                           std::size_t mark) {
    std::pair<std::size_t, std::size_t> out;
    for (std::size_t i = mark; i < traffic.size(); ++i) {
      const proto::Envelope& envelope = traffic[i].envelope;
      if (envelope.type != proto::CiphertextType::kSenderKey) continue;
      ++out.second;
      out.first += std::ranges::any_of(chains, [&](const e2e::SenderKey& chain) {
        return chain.clone().decrypt(envelope.ciphertext).has_value();
      });
    }
    return out;
  }
  // The server hands out everything since `mark` to this device, whoever it is for.
  void hand_over(Phone& to, std::size_t mark) {
    proto::Deliver all;
    for (std::size_t i = mark; i < traffic.size(); ++i) {
      all.deliveries.push_back(traffic[i]);
      all.deliveries.back().sequence = Sequence{(std::uint64_t{1} << 50) + i};
    }
    to.frames.push_back({proto::Kind::kDeliver, 0, encode(all)});
    settle();
    pass(minutes(10));
  }
  void talk_without(Phone& who, Act act, Phone* whom) {
    Phone &alice = *members[0], &bob = *members[1], &carol = *members[2];
    for (Phone* phone : members) ASSERT_TRUE(say(*phone, id, "hello"));
    const auto kept = chains_of(carol, id);
    ASSERT_EQ(kept.size(), 2u);
    std::size_t mark = traffic.size();
    ASSERT_TRUE(say(bob, id, "with carol"));
    EXPECT_EQ(read(kept, mark).first, read(kept, mark).second) << "what they had is enough for it";

    ASSERT_TRUE(change(who, id, act, whom));
    mark = traffic.size();
    const Texts before = shown(carol, id);
    for (int i = 0; i < 2; ++i) {
      ASSERT_TRUE(say(alice, id, "without carol"));
      ASSERT_TRUE(say(bob, id, "indeed"));
      restart(alice);
      restart(bob);
    }
    EXPECT_EQ(shown(bob, id).back(), "without carol");
    EXPECT_EQ(read(kept, mark).first, 0u);
    EXPECT_GE(read(kept, mark).second, 4u);
    EXPECT_EQ(read(chains_of(carol, id), mark).first, 0u);
    EXPECT_EQ(shown(carol, id), before);
    gone = mark;
  }
  // And they ask for what they cannot read.
  void expect_no_help() {
    Phone& carol = *members[2];
    const Texts before = shown(carol, id);
    hand_over(carol, gone);
    EXPECT_EQ(shown(carol, id), before);
    EXPECT_EQ(read(chains_of(carol, id), gone).first, 0u);
  }

  std::vector<Phone*> members;
  GroupId id;
  std::vector<proto::Delivery> traffic;
  std::size_t gone = 0;  // the traffic before they were gone
};

TEST_F(GroupAttacks, WhoWasRemovedReadsNothingLater) {
  members = {&enroll(1), &enroll(2), &enroll(3)};
  id = create(*members[0], "Birds", {members[1], members[2]});
  talk_without(*members[0], Act::kRemove, members[2]);
  expect_no_help();
}

TEST_F(GroupAttacks, WhoLeftReadsNothingLater) {
  members = {&enroll(1), &enroll(2), &enroll(3)};
  id = create(*members[0], "Birds", {members[1], members[2]});
  talk_without(*members[2], Act::kLeave, nullptr);
  expect_no_help();
}

// They come back: what was said between stays closed, and what is said from then on opens.
TEST_F(GroupAttacks, WhoComesBackDoesNotReadWhatWasSaidBetween) {
  members = {&enroll(1), &enroll(2), &enroll(3)};
  Phone &alice = *members[0], &carol = *members[2];
  id = create(alice, "Birds", {members[1], &carol});
  talk_without(alice, Act::kRemove, &carol);
  ASSERT_TRUE(change(alice, id, Act::kAdd, &carol));
  const std::size_t back = traffic.size();
  ASSERT_TRUE(say(alice, id, "welcome back"));
  EXPECT_EQ(shown(carol, id).back(), "welcome back");
  traffic.resize(back);
  expect_no_help();
}

}  // namespace
}  // namespace godwit::sim
