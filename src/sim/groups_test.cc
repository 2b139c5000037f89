// Groups between real engines and a real shard.
#include "sim/test_group_world.h"

namespace godwit::sim {
namespace {

using Act = Engine::GroupAct;
using GroupsTest = GroupWorld;

using Texts = std::vector<std::string>;

TEST_F(GroupsTest, EverybodyReadsWhatOneSays) {
  Phone &alice = enroll(1), &bob = enroll(2), &carol = enroll(3);
  const GroupId id = create(alice, "Birds", {&bob, &carol});
  expect_agreement(id, {&alice, &bob, &carol});
  EXPECT_EQ(view(carol, id).name, "Birds");
  ASSERT_TRUE(say(alice, id, "one"));
  ASSERT_TRUE(say(bob, id, "two"));
  restart(carol);
  ASSERT_TRUE(say(carol, id, "three"));
  ASSERT_TRUE(say(alice, id, "four"));
  EXPECT_EQ(shown(bob, id), (Texts{"one", "three", "four"}));
  EXPECT_EQ(shown(carol, id), (Texts{"one", "two", "four"}));
  EXPECT_EQ(shown(alice, id), (Texts{"two", "three"}));
  EXPECT_EQ(bob.engine->counters().undecryptable, 0u);
}

TEST_F(GroupsTest, NewcomersReadNothingOlderAndRemovedOnesNothingNewer) {
  Phone &alice = enroll(1), &bob = enroll(2), &carol = enroll(3), &dora = enroll(4);
  const GroupId id = create(alice, "Birds", {&bob, &carol});
  ASSERT_TRUE(say(bob, id, "before"));
  ASSERT_TRUE(change(alice, id, Act::kAdd, &dora));
  ASSERT_TRUE(say(bob, id, "with dora"));
  ASSERT_TRUE(change(alice, id, Act::kRemove, &carol));
  ASSERT_TRUE(say(bob, id, "without carol"));
  ASSERT_TRUE(say(alice, id, "really"));
  expect_agreement(id, {&alice, &bob, &dora});
  EXPECT_EQ(shown(dora, id), (Texts{"with dora", "without carol", "really"}));
  EXPECT_EQ(shown(carol, id), (Texts{"before", "with dora"}));
  EXPECT_FALSE(view(carol, id).member);
  EXPECT_EQ(say(carol, id, "hey").error().code, Code::kForbidden);
}

TEST_F(GroupsTest, WhoAreAddedTogetherComeInOneChange) {
  Phone &alice = enroll(1), &bob = enroll(2), &carol = enroll(3), &dora = enroll(4);
  const GroupId id = create(alice, "Birds", {});
  const auto before = view(alice, id).version;
  const std::string nobody = "+33600000000";
  act(alice, [&](Engine& e, Env& at, client::Effects& out) {
    for (const std::string& phone : {bob.number, nobody, carol.number, bob.number, dora.number}) {
      EXPECT_TRUE(e.change_group(id, Act::kAdd, phone, at, out));
    }
    EXPECT_TRUE(e.change_group(id, Act::kPromote, carol.number, at, out));
  });
  settle();
  pass(seconds(10));
  expect_agreement(id, {&alice, &bob, &carol, &dora});
  EXPECT_EQ(view(bob, id).version, before + 2);
  const auto done = events<client::GroupChangeDone>(alice);
  ASSERT_EQ(done.size(), 8u);  // itself, its name, and these
  EXPECT_EQ(std::ranges::count_if(done, [](const auto& one) { return !one.failure.empty(); }), 1);
}

TEST_F(GroupsTest, ChangesAtTheSameTimeBothHappen) {
  Phone &alice = enroll(1), &bob = enroll(2), &carol = enroll(3), &dora = enroll(4);
  const GroupId id = create(alice, "Birds", {&bob, &carol});
  ASSERT_TRUE(change(alice, id, Act::kPromote, &bob));
  alice.reachable = bob.reachable = false;
  restart(alice);
  restart(bob);
  ASSERT_TRUE(change(alice, id, Act::kAdd, &dora));
  ASSERT_TRUE(change(bob, id, Act::kRemove, &carol));
  alice.reachable = bob.reachable = true;
  pass(minutes(3));
  expect_agreement(id, {&alice, &bob, &dora});
}

TEST_F(GroupsTest, AGhostOrAForgeryOfTheServerIsRefusedAndSaid) {
  Phone &alice = enroll(1), &bob = enroll(2), &carol = enroll(3);
  const GroupId id = create(alice, "Birds", {&bob});
  // The server adds Carol in Alice's name.
  from_server = [&](proto::Frame& frame) {
    auto deliver = decode<proto::Deliver>(frame.body);
    if (frame.kind != proto::Kind::kDeliver || !deliver) return true;
    for (auto& delivery : deliver->deliveries) {
      if (delivery.envelope.type != proto::CiphertextType::kGroupChange) continue;
      auto change = *decode<proto::SignedTransition>(delivery.envelope.ciphertext);
      auto transition = *decode<proto::Transition>(change.body);
      transition.changes = {{.kind = proto::GroupChange::Kind::kAdd,
                             .user = carol.engine->profile().user,
                             .identity = {5, 1}}};
      change.body = encode(transition);
      delivery.envelope.ciphertext = encode(change);
    }
    frame.body = encode(*deliver);
    return true;
  };
  const auto before = view(bob, id);
  EXPECT_TRUE(run(alice, [&](Engine& e, Env& at, client::Effects& out) {
    return e.set_group_rules(id, {.announcements = true}, at, out);
  }));
  EXPECT_EQ(view(bob, id).version, before.version);
  EXPECT_EQ(view(bob, id).members.size(), 2u);
  EXPECT_FALSE(events<client::GroupRefused>(bob).empty());
}

TEST_F(GroupsTest, AnnouncementsComeFromAdminsOnly) {
  Phone &alice = enroll(1), &bob = enroll(2);
  const GroupId id = create(alice, "Birds", {&bob});
  EXPECT_TRUE(run(alice, [&](Engine& e, Env& at, client::Effects& out) {
    return e.set_group_rules(id, {.announcements = true}, at, out);
  }));
  EXPECT_EQ(say(bob, id, "me too").error().code, Code::kForbidden);
  ASSERT_TRUE(say(alice, id, "hear"));
  EXPECT_EQ(shown(bob, id), (Texts{"hear"}));
  ASSERT_TRUE(change(alice, id, Act::kLeave, nullptr));
  EXPECT_TRUE(view(bob, id).members[0].admin) << "the last one left is the admin";
}

}  // namespace
}  // namespace godwit::sim
