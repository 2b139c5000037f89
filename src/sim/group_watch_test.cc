#include "sim/group_watch.h"

#include <gtest/gtest.h>

#include "client/group_log.h"
#include "client/rows.h"

namespace godwit::sim {
namespace {

constexpr std::uint32_t kAlice = 0, kBob = 1;

// Alice speaks to a group in which Bob is in the states 2 and 3 only.
class GroupWatchTest : public testing::Test {
 protected:
  GroupWatchTest() {
    chain.create(group.octets, entropy);
    for (std::uint64_t version = 1; version <= 4; ++version) {
      proto::GroupState& state = states[version];
      state.version = version;
      state.members.push_back({.user = users[kAlice]});
      if (version == 2 || version == 3) state.members.push_back({.user = users[kBob]});
    }
  }
  MessageId say(std::uint64_t version) {
    const MessageId id = MessageId::random(entropy);
    const EnvelopeId envelope = client::group_envelope_id(group, id);
    watch.submitted(phone,
                    {group, version, {{envelope, *chain.encrypt(view_of("hello"), entropy)}}});
    return id;
  }
  // Bob's device learns how to read what comes next, and stores it.
  void tell_bob() {
    e2e::SenderKey learned;
    ASSERT_TRUE(learned.learn(*chain.distribution_message()));
    Bytes key = client::row_key('K', group);
    append(key, users[kAlice].view());
    key.push_back(1);
    ports::Batch batch;
    batch.put(ports::Space::kChat, key,
              encode(client::KeyRow{std::move(learned.serialize()).release()}));
    watch.stores(kBob, batch);
  }
  std::string broken() {
    Verdict verdict;
    watch.check(group, states, users, verdict);
    return verdict.good() ? std::string() : verdict.first()->what;
  }

  SeededEntropy entropy{1};
  const GroupWatch::Device phone{1};
  const GroupId group = GroupId::random(entropy);
  const std::vector<UserId> users{{{1}}, {{2}}};
  e2e::SenderKey chain;
  GroupWatch::States states;
  GroupWatch watch;
};

TEST_F(GroupWatchTest, MembersReadWhatIsSaidWhileTheyAreIn) {
  (void)say(1);
  tell_bob();
  watch.shown(kBob, group, say(2));
  (void)say(3);
  chain.create(group.octets, entropy);
  (void)say(4);
  EXPECT_EQ(broken(), "");
}

TEST_F(GroupWatchTest, AChainThatIsKeptWhenSomebodyLeavesIsReadByThem) {
  tell_bob();
  (void)say(2);
  (void)say(4);
  EXPECT_NE(broken().find("device 1 can read"), std::string::npos);
}

TEST_F(GroupWatchTest, AChainThatIsToldFromItsBeginningReadsWhatIsOlder) {
  tell_bob();
  (void)say(1);
  EXPECT_NE(broken().find("device 1 can read"), std::string::npos);
}

TEST_F(GroupWatchTest, NobodyIsShownWhatWasNotSaidToThem) {
  watch.shown(kBob, group, say(4));
  EXPECT_NE(broken().find("device 1 is shown"), std::string::npos);
}

}  // namespace
}  // namespace godwit::sim
