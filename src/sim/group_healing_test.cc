// What a member of a group could not read, they ask for and are told again.
#include "client/rows.h"
#include "sim/test_group_world.h"

namespace godwit::sim {
namespace {

using Act = Engine::GroupAct;
using Texts = std::vector<std::string>;

class GroupHealing : public GroupWorld {
 protected:
  // The device loses how to read what others say to the group.
  void forget_chains(Phone& phone, GroupId group) {
    const Bytes first = client::row_key('K', group);
    ports::Batch batch{.partition = Engine::partition()};
    batch.erase_range(ports::Space::kChat, first, client::after_prefix(first));
    ASSERT_TRUE(phone.store.write({&batch, 1}, ports::Durability::kSafe));
    restart(phone);
    pass(minutes(1));
  }
  void restore(Phone& phone, const ports::MemoryStore& old) {
    phone.store = old;
    restart(phone);
    pass(minutes(1));
  }
  std::uint64_t unreadable(const Phone& phone) { return phone.engine->counters().undecryptable; }
};

TEST_F(GroupHealing, AChainThatWasLostIsToldAgain) {
  Phone &alice = enroll(1), &bob = enroll(2), &carol = enroll(3);
  const GroupId id = create(alice, "Birds", {&bob, &carol});
  ASSERT_TRUE(say(alice, id, "one"));
  forget_chains(bob, id);
  for (const auto* text : {"two", "three"}) ASSERT_TRUE(say(alice, id, text));
  pass(minutes(1));
  EXPECT_EQ(shown(bob, id), (Texts{"one", "two", "three"}));
  EXPECT_EQ(shown(carol, id), (Texts{"one", "two", "three"})) << "nobody else hears it twice";
  const auto before = unreadable(bob);
  EXPECT_GE(before, 1u);
  ASSERT_TRUE(say(alice, id, "four"));
  EXPECT_EQ(unreadable(bob), before);
  EXPECT_EQ(shown(bob, id).back(), "four");
  expect_agreement(id, {&alice, &bob, &carol});
}

TEST_F(GroupHealing, AnAskerIsToldWhatWasNotYetAnsweredForAndAfterARestart) {
  Phone &alice = enroll(1), &bob = enroll(2);
  const GroupId id = create(alice, "Birds", {&bob});
  ASSERT_TRUE(say(alice, id, "one"));
  forget_chains(bob, id);
  bob.reachable = false;
  restart(bob);
  ASSERT_TRUE(say(alice, id, "two"));
  restart(alice);
  bob.reachable = true;
  pass(minutes(2));
  EXPECT_EQ(shown(bob, id), (Texts{"one", "two"}));
}

TEST_F(GroupHealing, WhoWasRestoredToBeforeTheGroupIsInItAgain) {
  Phone &alice = enroll(1), &bob = enroll(2), &carol = enroll(3);
  const ports::MemoryStore old = bob.store;
  const GroupId id = create(alice, "Birds", {&bob, &carol});
  ASSERT_TRUE(say(alice, id, "lost with the phone"));
  ASSERT_TRUE(say(bob, id, "me too"));
  restore(bob, old);
  EXPECT_EQ(view(bob, id).version, 0u);
  ASSERT_TRUE(say(alice, id, "two"));
  pass(minutes(5));
  ASSERT_TRUE(say(carol, id, "three"));
  pass(minutes(5));
  EXPECT_EQ(shown(bob, id), (Texts{"lost with the phone", "two", "three"}));
  expect_agreement(id, {&alice, &bob, &carol});
  ASSERT_TRUE(say(bob, id, "four"));
  pass(minutes(5));
  EXPECT_EQ(shown(alice, id).back(), "four");
  EXPECT_EQ(shown(carol, id).back(), "four");
}

TEST_F(GroupHealing, WhoWasRestoredCatchesUpWithTheChanges) {
  Phone &alice = enroll(1), &bob = enroll(2), &carol = enroll(3), &dora = enroll(4);
  const GroupId id = create(alice, "Birds", {&bob, &carol});
  ASSERT_TRUE(say(alice, id, "one"));
  const ports::MemoryStore old = bob.store;
  ASSERT_TRUE(change(alice, id, Act::kAdd, &dora));
  ASSERT_TRUE(change(alice, id, Act::kRemove, &carol));
  ASSERT_TRUE(say(alice, id, "two"));
  restore(bob, old);
  ASSERT_TRUE(say(dora, id, "three"));  // of whom this phone has not heard
  pass(minutes(5));
  EXPECT_EQ(shown(bob, id).back(), "three");
  expect_agreement(id, {&alice, &bob, &dora});
}

TEST_F(GroupHealing, ARestoredSenderIsReadAndMakesANewChain) {
  Phone &alice = enroll(1), &bob = enroll(2), &carol = enroll(3);
  const GroupId id = create(alice, "Birds", {&bob, &carol});
  ASSERT_TRUE(say(alice, id, "zero"));
  ASSERT_TRUE(say(bob, id, "hello"));
  const ports::MemoryStore old = alice.store;
  for (const auto* text : {"one", "two", "three"}) ASSERT_TRUE(say(alice, id, text));
  restart(bob);
  restart(carol);
  restore(alice, old);
  ASSERT_TRUE(say(alice, id, "four"));
  pass(minutes(5));
  const auto before = unreadable(bob);
  ASSERT_TRUE(say(alice, id, "five"));
  pass(minutes(5));
  for (Phone* phone : {&bob, &carol}) {
    const Texts all = shown(*phone, id);
    EXPECT_EQ((Texts{all.end() - 5, all.end()}), (Texts{"one", "two", "three", "four", "five"}));
  }
  EXPECT_EQ(unreadable(bob), before) << "the keys used before are not used again";
}

// The server shows an old message to somebody who joined after it: they ask, and are not told.
TEST_F(GroupHealing, NewcomersAreToldNothingOlderWhenTheyAsk) {
  Phone &alice = enroll(1), &bob = enroll(2), &carol = enroll(3);
  std::optional<proto::Delivery> old;
  from_server = [&](proto::Frame& frame) {
    const auto deliver = decode<proto::Deliver>(frame.body);
    if (frame.kind != proto::Kind::kDeliver || !deliver) return true;
    for (const auto& delivery : deliver->deliveries) {
      if (delivery.envelope.type == proto::CiphertextType::kSenderKey && !old) old = delivery;
    }
    return true;
  };
  const GroupId id = create(alice, "Birds", {&bob});
  ASSERT_TRUE(say(alice, id, "before"));
  ASSERT_TRUE(change(alice, id, Act::kAdd, &carol));
  ASSERT_TRUE(say(alice, id, "welcome"));
  ASSERT_TRUE(old);
  old->sequence = Sequence{std::uint64_t{1} << 50};
  carol.frames.push_back({proto::Kind::kDeliver, 0, encode(proto::Deliver{{*old}})});
  settle();
  pass(minutes(10));
  EXPECT_EQ(carol.engine->counters().requested, 1u);
  EXPECT_EQ(shown(carol, id), (Texts{"welcome"}));
}

}  // namespace
}  // namespace godwit::sim
