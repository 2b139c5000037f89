#include "server/group.h"

#include "server/test_node.h"

namespace godwit::server {
namespace {

using Change = proto::GroupChange;

// People with identity keys, in a group on a server that checks every signature.
class GroupTest : public ShardTest {
 protected:
  struct Member : Person {
    crypto::KeyPair keys;
    proto::IdentityKey identity{};
  };
  Member enroll(std::uint8_t n) {
    Member m{join(n), {}, {}};
    SeededEntropy entropy(n);
    m.keys = crypto::KeyPair::generate(entropy);
    m.identity[0] = 0x05;
    std::ranges::copy(m.keys.public_key, m.identity.begin() + 1);
    return m;
  }
  static Change added(const Member& m) {
    return {.kind = Change::Kind::kAdd, .user = m.user, .identity = m.identity};
  }
  proto::ChangeGroup change(const Member& actor, std::vector<Change> changes) const {
    proto::Transition transition{.group = group,
                                 .version = state.version + 1,
                                 .previous = state.version ? digest(state) : proto::GroupDigest{},
                                 .actor = actor.user,
                                 .changes = std::move(changes)};
    proto::SignedTransition out{.body = encode(transition)};
    out.signature = crypto::xeddsa_sign(actor.keys.private_key, proto::signed_octets(out.body), {});
    return {group, encode(out)};
  }
  // Asks for it, and follows when the server agrees.
  void act(const Member& actor, std::vector<Change> changes) {
    const auto request = change(actor, std::move(changes));
    node_.ask<proto::Attached>(actor.session, Kind::kChangeGroup, request);
    follow(request.transition);
  }
  void follow(ByteView transition) {
    state = *advance(state, *decode<proto::SignedTransition>(transition));
  }
  proto::SubmitGroup letter(std::uint8_t n, std::size_t size = 20) const {
    proto::GroupMessage message{{}, Bytes(size, n)};
    message.id.octets = {n, 1};
    return {group, state.version, {message}};
  }
  void send(const Member& from, std::uint8_t n) {
    node_.ask<proto::Attached>(from.session, Kind::kSubmitGroup, letter(n));
  }
  // The messages that came to a session, by their number; changes of the group as 0.
  std::vector<int> got(const Person& person) {
    std::vector<int> out;
    for (const auto& delivery : node_.deliveries(person.session)) {
      const auto& envelope = delivery.envelope;
      const bool message = envelope.type == proto::CiphertextType::kSenderKey;
      out.push_back(message ? envelope.ciphertext[0] : 0);
    }
    return out;
  }
  std::uint64_t fanouts() { return node_.store.count(ports::Space::kFanout).value(); }
  void SetUp() override { act(alice, {added(alice), added(bob), added(carol)}); }

  GroupId group{{7, 7}};
  proto::GroupState state;
  Member alice = enroll(1), bob = enroll(2), carol = enroll(3), dora = enroll(4);
};

INSTANTIATE_TEST_SUITE_P(Shards, GroupTest, testing::Values(1, 2, 5));

TEST_P(GroupTest, OneUploadReachesEveryMemberAndNobodyElse) {
  send(alice, 1);
  send(bob, 2);
  EXPECT_EQ(got(bob), std::vector<int>{1});
  EXPECT_EQ(got(carol), (std::vector<int>{1, 2}));
  EXPECT_EQ(got(alice), std::vector<int>{2}) << "not to the device that sends";
  EXPECT_TRUE(got(dora).empty());
  EXPECT_EQ(fanouts(), 0u) << "all have it";
  EXPECT_EQ(node_.refused(dora.session, Kind::kSubmitGroup, letter(3)).code, Code::kForbidden);
}

TEST_P(GroupTest, ARepetitionIsAcceptedOnce) {
  send(alice, 1);
  send(alice, 1);
  EXPECT_EQ(got(bob), std::vector<int>{1});
}

// Its sender wants to know for which state it was taken, and that tells.
TEST_P(GroupTest, ARepetitionIsAcceptedThoughTheGroupHasChangedSince) {
  const auto said = letter(1);
  node_.ask<proto::Attached>(alice.session, Kind::kSubmitGroup, said);
  act(alice, {added(dora)});
  auto ids = said;
  ids.messages[0].ciphertext.clear();
  node_.ask<proto::Attached>(alice.session, Kind::kSubmitGroup, ids);
  EXPECT_EQ(got(bob), (std::vector<int>{1, 0}));
  EXPECT_EQ(got(dora), std::vector<int>{});
}

TEST_P(GroupTest, WhoDoesNotKnowTheGroupsVersionMustLearnIt) {
  const auto stale = letter(1);
  act(alice, {added(dora)});
  EXPECT_EQ(node_.refused(alice.session, Kind::kSubmitGroup, stale).code, Code::kConflict);
  send(alice, 2);
  EXPECT_EQ(got(dora), std::vector<int>{2});
  EXPECT_EQ(got(bob), (std::vector<int>{0, 2}));
}

TEST_P(GroupTest, WhoIsRemovedHearsOfItAndOfNothingElse) {
  send(alice, 1);
  act(alice, {{.kind = Change::Kind::kRemove, .user = bob.user}});
  send(carol, 2);
  EXPECT_EQ(got(bob), (std::vector<int>{1, 0}));
  EXPECT_EQ(node_.refused(bob.session, Kind::kSubmitGroup, letter(3)).code, Code::kForbidden);
  EXPECT_EQ(node_.refused(bob.session, Kind::kFetchGroup, proto::FetchGroup{group, 0}).code,
            Code::kForbidden);
}

TEST_P(GroupTest, TheServerRefusesWhatARoleMayNotDo) {
  EXPECT_EQ(node_.refused(bob.session, Kind::kChangeGroup, change(bob, {added(dora)})).code,
            Code::kForbidden);
  EXPECT_EQ(node_.refused(bob.session, Kind::kChangeGroup, change(alice, {added(dora)})).code,
            Code::kInvalid)
      << "an admin's change, sent by somebody else";
  auto forged = change(alice, {added(dora)});
  forged.transition.back() ^= 1;
  EXPECT_EQ(node_.refused(alice.session, Kind::kChangeGroup, forged).code, Code::kUnauthenticated);
  act(alice, {{.kind = Change::Kind::kSettings, .settings = {.announcements = true}}});
  EXPECT_EQ(node_.refused(bob.session, Kind::kSubmitGroup, letter(1)).code, Code::kForbidden);
  send(alice, 2);
}

TEST_P(GroupTest, OfTwoWhoChangeItAtOnceOneIsToldToLookAgain) {
  const auto hers = change(alice, {added(dora)});
  const auto his = change(alice, {{.kind = Change::Kind::kRemove, .user = bob.user}});
  node_.ask<proto::Attached>(alice.session, Kind::kChangeGroup, hers);
  node_.ask<proto::Attached>(alice.session, Kind::kChangeGroup, hers);  // the answer was lost
  EXPECT_EQ(node_.refused(alice.session, Kind::kChangeGroup, his).code, Code::kConflict);
  const auto missed =
      node_.ask<proto::GroupHistory>(carol.session, Kind::kFetchGroup, proto::FetchGroup{group, 1});
  ASSERT_EQ(missed.transitions.size(), 1u);
  EXPECT_TRUE(missed.base.empty());
  follow(missed.transitions[0]);
  EXPECT_EQ(digest(state), missed.digest);
}

TEST_P(GroupTest, ANewcomerGetsAStateAndWhatFollows) {
  act(alice, {added(dora)});
  act(alice, {{.kind = Change::Kind::kPromote, .user = bob.user}});
  const auto all =
      node_.ask<proto::GroupHistory>(dora.session, Kind::kFetchGroup, proto::FetchGroup{group, 0});
  state = *decode<proto::GroupState>(all.base);
  for (const Bytes& transition : all.transitions) follow(transition);
  EXPECT_EQ(digest(state), all.digest);
  EXPECT_TRUE(state.is_admin(bob.user));
}

TEST_P(GroupTest, HistoryIsBounded) {
  for (std::size_t i = 0; i < 2 * limits::kGroupHistory + 10; ++i) {
    act(alice, {{.kind = Change::Kind::kInfo, .info = {static_cast<std::uint8_t>(i)}}});
    node_.frames(bob.session).clear();
    node_.frames(carol.session).clear();
    node_.frames(alice.session).clear();
  }
  EXPECT_LE(node_.store.count(ports::Space::kGroup).value(), 2 * limits::kGroupHistory + 4);
  std::uint64_t after = 0;
  proto::GroupState follows;
  for (;;) {
    const auto page = node_.ask<proto::GroupHistory>(alice.session, Kind::kFetchGroup,
                                                     proto::FetchGroup{group, after});
    if (!page.base.empty()) follows = *decode<proto::GroupState>(page.base);
    for (const Bytes& one : page.transitions) {
      follows = *advance(follows, *decode<proto::SignedTransition>(one));
    }
    after = follows.version;
    if (page.transitions.empty() || after == page.version) break;
  }
  EXPECT_EQ(digest(follows), digest(state));
}

TEST_P(GroupTest, WhatWasAcceptedIsFannedOutAfterARestart) {
  if (GetParam() == 1) GTEST_SKIP() << "nothing travels over the bus";
  node_.lose_bus = 1;
  node_.post(alice.session, Kind::kSubmitGroup, letter(1));
  node_.run();
  const bool stored = fanouts() == 1;
  node_.lose_bus = 0;
  node_.restart();
  for (Member* m : {&alice, &bob, &carol}) attach(*m);
  for (int i = 0; i < 10; ++i) node_.pass(seconds(1));
  if (stored) {
    EXPECT_EQ(got(bob), std::vector<int>{1});
    EXPECT_EQ(got(carol), std::vector<int>{1});
  }
  EXPECT_EQ(fanouts(), 0u);
}

// A write that fails forgets the group, and whoever waits for something of it says nothing.
TEST_P(GroupTest, WhatWasAcceptedIsFannedOutAfterAWriteThatFailed) {
  if (GetParam() == 1) GTEST_SKIP() << "nothing travels over the bus";
  for (int i = 0; i < 3; ++i) node_.pass(seconds(1));  // what was left of before a start
  node_.lose_verb = Verb::kGroupDeliver;
  send(alice, 1);
  ASSERT_EQ(fanouts(), 1u);
  node_.fail_writes = true;
  EXPECT_EQ(node_.refused(alice.session, Kind::kSubmitGroup, letter(2)).code, Code::kUnavailable);
  node_.fail_writes = false;
  node_.lose_verb.reset();
  for (int i = 0; i < 10; ++i) node_.pass(seconds(1));
  EXPECT_EQ(got(bob), std::vector<int>{1});
  EXPECT_EQ(got(carol), std::vector<int>{1});
  EXPECT_EQ(fanouts(), 0u);
}

TEST_P(GroupTest, WhoLeavesAndIsBackGetsNothingOfBetweenAndTheOthersAll) {
  if (GetParam() == 1) GTEST_SKIP() << "nothing travels over the bus";
  node_.lose_verb = Verb::kGroupTaken;  // all of it is on its way at once
  act(alice, {{.kind = Change::Kind::kRemove, .user = bob.user}});
  send(alice, 1);
  act(alice, {added(bob)});
  send(alice, 2);
  EXPECT_EQ(fanouts(), 4u);
  node_.lose_verb.reset();
  for (int i = 0; i < 20; ++i) node_.pass(seconds(1));
  EXPECT_EQ(got(bob), (std::vector<int>{0, 2}));
  EXPECT_EQ(got(carol), (std::vector<int>{0, 1, 0, 2}));
  EXPECT_EQ(fanouts(), 0u);
}

TEST_P(GroupTest, ABusThatLosesAndRepeatsCostsTimeOnly) {
  node_.lose_bus = 3;
  node_.duplicate_bus = true;
  for (std::uint8_t n = 1; n <= 8; ++n) node_.send(alice.session, Kind::kSubmitGroup, letter(n));
  node_.lose_bus = 0;
  node_.duplicate_bus = false;
  for (int i = 0; i < 20; ++i) node_.pass(seconds(1));
  attach(bob);  // a lost push ends a connection
  attach(carol);
  const std::vector<int> bobs = got(bob);
  EXPECT_EQ(bobs, got(carol));
  EXPECT_TRUE(std::ranges::is_sorted(bobs));
  EXPECT_EQ(std::set(bobs.begin(), bobs.end()).size(), bobs.size()) << "none twice";
  EXPECT_GE(bobs.size(), 4u);
  EXPECT_EQ(fanouts(), 0u);
}

}  // namespace
}  // namespace godwit::server
