#include "proto/group_state.h"

#include <gtest/gtest.h>

namespace godwit::proto {
namespace {

using Kind = GroupChange::Kind;

// A person with an identity key.
struct Person {
  UserId user;
  crypto::KeyPair keys;
  IdentityKey identity{};

  explicit Person(std::uint8_t n) {
    SeededEntropy entropy(n);
    user.octets = {n};
    keys = crypto::KeyPair::generate(entropy);
    identity[0] = 0x05;
    std::ranges::copy(keys.public_key, identity.begin() + 1);
  }
  GroupChange added() const { return {.kind = Kind::kAdd, .user = user, .identity = identity}; }
};

ByteArray<64> sign(const Person& who, ByteView body) {
  return crypto::xeddsa_sign(who.keys.private_key, signed_octets(body), {});
}

class GroupStateTest : public testing::Test {
 protected:
  SignedTransition make(const Person& actor, std::vector<GroupChange> changes) const {
    Transition transition{.group = group,
                          .version = state.version + 1,
                          .previous = state.version == 0 ? GroupDigest{} : digest(state),
                          .actor = actor.user,
                          .changes = std::move(changes)};
    SignedTransition out{.body = encode(transition)};
    out.signature = sign(actor, out.body);
    return out;
  }
  // What comes of it: kOk is not a code, so a success is the code 0.
  Code act(const Person& actor, std::vector<GroupChange> changes) {
    return take(make(actor, std::move(changes)));
  }
  Code take(const SignedTransition& transition) {
    auto next = advance(state, transition);
    if (!next) return next.error().code;
    state = std::move(*next);
    return Code{};
  }
  Code join(const Person& who, const Person& link) {
    auto transition = make(who, {{.kind = Kind::kJoin, .identity = who.identity}});
    transition.link_signature = sign(link, transition.body);
    return take(transition);
  }
  void SetUp() override {
    ASSERT_EQ(act(alice, {alice.added(), bob.added(), carol.added()}), Code{});
  }

  GroupId group{{7}};
  GroupState state;
  Person alice{1}, bob{2}, carol{3}, dora{4};
};

TEST_F(GroupStateTest, WhoCreatesItIsItsAdmin) {
  EXPECT_EQ(state.version, 1u);
  EXPECT_EQ(state.members.size(), 3u);
  EXPECT_TRUE(state.is_admin(alice.user));
  EXPECT_FALSE(state.is_admin(bob.user));
  EXPECT_EQ(*decode<GroupState>(encode(state))->member(bob.user)->identity.begin(), 0x05);
}

TEST_F(GroupStateTest, OnlyAdminsDoWhatAdminsDo) {
  for (const GroupChange& change :
       std::vector<GroupChange>{dora.added(),
                                {.kind = Kind::kRemove, .user = carol.user},
                                {.kind = Kind::kPromote, .user = bob.user},
                                {.kind = Kind::kDemote, .user = alice.user},
                                {.kind = Kind::kSettings},
                                {.kind = Kind::kInfo},
                                {.kind = Kind::kLink}}) {
    EXPECT_EQ(act(bob, {change}), Code::kForbidden) << static_cast<int>(change.kind);
  }
  EXPECT_EQ(act(dora, {dora.added()}), Code::kForbidden) << "a stranger adds nobody";
  EXPECT_EQ(act(alice, {{.kind = Kind::kPromote, .user = bob.user}}), Code{});
  EXPECT_EQ(act(bob, {dora.added(), {.kind = Kind::kRemove, .user = alice.user}}), Code{});
  EXPECT_EQ(state.member(alice.user), nullptr);
  EXPECT_EQ(act(alice, {{.kind = Kind::kLeave}}), Code::kForbidden);
}

TEST_F(GroupStateTest, SettingsOpenWhatIsClosed) {
  ASSERT_EQ(act(alice, {{.kind = Kind::kSettings,
                         .settings = {.announcements = true, .all_edit = true, .all_add = true}}}),
            Code{});
  EXPECT_EQ(act(bob, {dora.added()}), Code{});
  EXPECT_EQ(act(carol, {{.kind = Kind::kInfo, .info = {1, 2}}}), Code{});
  EXPECT_TRUE(state.may_send(alice.user));
  EXPECT_FALSE(state.may_send(bob.user));
}

TEST_F(GroupStateTest, WhatIsForgedReplayedOrRolledBackIsRefused) {
  auto forged = make(alice, {dora.added()});
  forged.signature = sign(bob, forged.body);
  EXPECT_EQ(take(forged), Code::kUnauthenticated) << "in another's name";
  const auto added = make(alice, {dora.added()});
  auto altered = added;
  altered.body.back() ^= 1;
  EXPECT_NE(take(altered), Code{});
  ASSERT_EQ(take(added), Code{});
  EXPECT_EQ(take(added), Code::kConflict) << "again";
  const GroupState before = state;
  ASSERT_EQ(act(alice, {{.kind = Kind::kRemove, .user = dora.user}}), Code{});
  const GroupState without = state;
  state = before;
  ASSERT_EQ(act(alice, {{.kind = Kind::kRemove, .user = bob.user}}), Code{}) << "another history";
  const auto later = make(alice, {{.kind = Kind::kRemove, .user = carol.user}});
  state = without;
  EXPECT_EQ(take(later), Code::kConflict) << "the version fits, the history does not";
}

TEST_F(GroupStateTest, AGroupNeverLacksAnAdmin) {
  ASSERT_EQ(act(alice, {dora.added()}), Code{});
  ASSERT_EQ(act(alice, {{.kind = Kind::kLeave}}), Code{});
  EXPECT_TRUE(state.is_admin(bob.user)) << "who is there longest";
  EXPECT_FALSE(state.is_admin(dora.user));
  for (const Person* who : {&bob, &carol, &dora}) {
    EXPECT_EQ(act(*who, {{.kind = Kind::kLeave}}), Code{});
  }
  EXPECT_TRUE(state.members.empty());
}

TEST_F(GroupStateTest, LinksLetInAsOftenAsTheySay) {
  const Person link(9), other(10), eve(5);
  EXPECT_EQ(join(dora, link), Code::kExpired) << "there is none";
  ASSERT_EQ(act(alice, {{.kind = Kind::kLink, .link = {.key = link.identity, .uses = 1}}}), Code{});
  EXPECT_EQ(join(dora, other), Code::kExpired);
  EXPECT_EQ(join(dora, link), Code{});
  EXPECT_EQ(join(eve, link), Code::kExpired);
  ASSERT_EQ(act(alice, {{.kind = Kind::kLink, .link = {.key = link.identity, .approval = true}}}),
            Code{});
  EXPECT_EQ(join(eve, link), Code{});
  EXPECT_EQ(state.member(eve.user), nullptr) << "she waits";
  EXPECT_EQ(join(eve, link), Code::kInvalid);
  EXPECT_EQ(act(bob, {eve.added()}), Code::kForbidden);
  EXPECT_EQ(act(alice, {eve.added()}), Code{});
  EXPECT_TRUE(state.pending.empty());
}

TEST_F(GroupStateTest, TheLimitHolds) {
  std::vector<GroupChange> changes;
  for (std::size_t i = state.members.size(); i < limits::kGroupMembers; ++i) {
    GroupChange change = dora.added();
    change.user.octets = {0xff, static_cast<std::uint8_t>(i >> 8), static_cast<std::uint8_t>(i)};
    changes.push_back(change);
  }
  ASSERT_EQ(act(alice, changes), Code{});
  EXPECT_EQ(act(alice, {dora.added()}), Code::kTooLarge);
  EXPECT_LE(encode(state).size(), limits::kMaxGroupState);
}

}  // namespace
}  // namespace godwit::proto
