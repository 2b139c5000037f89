// A group as large as it may be, with its messages and removals going on at the same time.
//
// GODWIT_GROUP=1024 ./dev test sim plays it whole, which takes minutes; otherwise it is smaller.
#include <cstdlib>
#include <ctime>

#include "sim/test_group_world.h"

namespace godwit::sim {
namespace {

using Act = Engine::GroupAct;

constexpr std::size_t kSenders = 20, kRounds = 10, kPerRound = 10;

double cpu_seconds() { return static_cast<double>(std::clock()) / CLOCKS_PER_SEC; }

std::size_t size_of_group() {
  const char* wanted = std::getenv("GODWIT_GROUP");
  return wanted ? std::clamp<std::size_t>(std::strtoul(wanted, nullptr, 10), 64, 1024) : 96;
}

class GroupCrowd : public GroupWorld {
 protected:
  struct Said {
    std::size_t round = 0, by = 0;
  };

  void SetUp() override {
    GroupWorld::SetUp();
    remembers = [](const client::Event& event) {
      return std::holds_alternative<client::MessageReceived>(event) ||
             std::holds_alternative<client::GroupRefused>(event);
    };
  }
  void stage(const char* what) {
    std::printf("%-44s %6.1f s of processor time\n", what, cpu_seconds());
    std::fflush(stdout);
  }
  Phone& phone(std::size_t index) { return *phones[index]; }
  // Some are away from the third round on, and come back at the end. Nobody who speaks or goes.
  static bool strays(std::size_t index) { return index > kSenders + kRounds && index % 16 == 0; }
  // Who is removed in this round.
  static std::size_t leaver(std::size_t round) { return kSenders + 1 + round; }

  void gather(std::size_t size) {
    for (std::size_t i = 0; i < size; ++i) {
      enroll(static_cast<std::uint16_t>(i + 1), "+33612" + std::to_string(100'000 + i));
    }
    stage("everybody is registered");
    act(phone(0), [&](Engine& e, Env& at, client::Effects& out) {
      id = *e.create_group("Flock", at, out);
      for (std::size_t i = 1; i < size; ++i) {
        ASSERT_TRUE(e.change_group(id, Act::kAdd, phone(i).number, at, out));
      }
    });
    settle();
    stage("everybody is in the group");
    EXPECT_LE(view(phone(0), id).version, 4u) << "one after the other";
  }
  void play(std::size_t round) {
    if (round == 2) {
      for (std::size_t i = 0; i < phones.size(); ++i) {
        if (!strays(i)) continue;
        phone(i).reachable = false;
        restart(phone(i));
      }
    }
    for (std::size_t i = 0; i < kPerRound; ++i) {
      if (i == kPerRound / 2) {
        act(phone(0), [&](Engine& e, Env& at, client::Effects& out) {
          ASSERT_TRUE(e.change_group(id, Act::kRemove, phone(leaver(round)).number, at, out));
        });
      }
      const std::size_t by = (round * kPerRound + i) % kSenders;
      const std::string text = std::to_string(said.size());
      act(phone(by), [&](Engine& e, Env& at, client::Effects& out) {
        ASSERT_TRUE(e.send(id, {.body = text}, {}, at, out));
      });
      said.push_back({round, by});
    }
    settle();
  }
  void come_back() {
    for (std::size_t i = 0; i < phones.size(); ++i) phone(i).reachable = true;
    pass(minutes(3));
  }

  void check(std::size_t index) {
    const Phone& reader = phone(index);
    const bool left = index >= leaver(0) && index < leaver(kRounds);
    const std::size_t until = left ? index - leaver(0) : kRounds;
    std::vector<std::size_t> times(said.size());
    std::map<std::size_t, std::size_t> latest;  // by speaker
    for (const std::string& text : shown(reader, id)) {
      const std::size_t n = std::stoul(text);
      ++times[n];
      EXPECT_LE(latest[said[n].by], n) << "out of order for " << index;
      latest[said[n].by] = n;
    }
    for (std::size_t n = 0; n < said.size(); ++n) {
      if (said[n].by == index) continue;
      // What was said while they were being removed, they may have or not.
      if (said[n].round == until) EXPECT_LE(times[n], 1u) << n << " to " << index;
      else EXPECT_EQ(times[n], said[n].round < until ? 1u : 0u) << n << " to " << index;
    }
    const auto seen = view(reader, id);
    EXPECT_EQ(seen.member, !left);
    EXPECT_EQ(seen.name, "Flock");
    if (!left) {
      EXPECT_EQ(seen.digest, truth.digest) << index << " at " << seen.version;
      EXPECT_FALSE(reader.engine->busy()) << index;
    }
    EXPECT_TRUE(events<client::GroupRefused>(reader).empty()) << index;
    EXPECT_EQ(reader.engine->counters().undecryptable, 0u) << index;
    EXPECT_EQ(reader.engine->counters().requested, 0u) << index;
  }

  GroupId id;
  std::vector<Said> said;
  client::GroupView truth;
};

TEST_F(GroupCrowd, ConvergesWithTrafficAndRemovals) {
  const std::size_t size = size_of_group();
  gather(size);
  for (std::size_t round = 0; round < kRounds; ++round) {
    play(round);
    stage("a round of messages and a removal");
  }
  come_back();
  stage("who was away is back");
  truth = view(phone(0), id);
  EXPECT_EQ(truth.members.size(), size - kRounds);
  for (std::size_t i = 0; i < size; ++i) check(i);
  EXPECT_EQ(*store.count(ports::Space::kFanout), 0u);
  EXPECT_EQ(*store.count(ports::Space::kQueue), 0u);
}

}  // namespace
}  // namespace godwit::sim
