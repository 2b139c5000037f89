// Lives of a group, by their seeds: people write, add and remove one another at the same time, are
// away, crash, lose chains and are restored from backups; then all is healed.
//
// Checked: who is in the group agrees on what it is; what was said by and to those who always were
// in it is shown once, whatever could not be read at first; who is not in it reads nothing of what
// is said then, and who came later nothing of what was said before; live engines equal their rows.
#include <random>
#include <set>

#include "client/rows.h"
#include "e2e/sender_key.h"
#include "sim/test_group_world.h"

namespace godwit::sim {
namespace {

using Act = Engine::GroupAct;

class GroupLives : public GroupWorld, public testing::WithParamInterface<int> {
 protected:
  static constexpr std::size_t kPeople = 5;  // the last one joins later, if ever
  struct Said {
    std::string text;
    std::size_t by = 0;
    MessageId id;
  };

  std::size_t draw(std::size_t below) { return static_cast<std::size_t>(random() % below); }

  void live(int steps) {
    for (int i = 0; i < steps; ++i) {
      const std::size_t who = draw(kPeople);
      Phone& phone = *people[who];
      const std::size_t dice = draw(100);
      if (dice < 40) speak(who);
      else if (dice < 60) change_something(phone);
      else if (dice < 68) vanish_or_return(phone);
      else if (dice < 75) restart(phone);
      else if (dice < 80) lose_chains(who);
      else if (dice < 84) backups[who] = phone.store;
      else if (dice < 88) restore(who);
      else if (dice < 92) crash_server();
      else pass(seconds(static_cast<std::int64_t>(1 + draw(20))));
    }
  }
  void speak(std::size_t who) {
    const std::string text = std::to_string(said.size());
    if (const auto made = say(*people[who], id, text); made) said.push_back({text, who, *made});
  }
  void change_something(Phone& by) {
    static constexpr Act kActs[] = {Act::kAdd,     Act::kAdd,    Act::kAdd,  Act::kRemove,
                                    Act::kPromote, Act::kDemote, Act::kLeave};
    const Act act = kActs[draw(std::size(kActs))];
    if (act == Act::kLeave && draw(4) != 0) return;
    const std::size_t whom = draw(kPeople);
    if (act == Act::kAdd && whom + 1 == kPeople && !older) older = accepted();
    if (act == Act::kRemove || act == Act::kLeave) {
      gone[act == Act::kLeave ? place_of(by) : whom] = true;
    }
    (void)change(by, id, act, act == Act::kLeave ? nullptr : people[whom]);
  }
  std::set<MessageId> accepted() {
    std::set<MessageId> out;
    for (const Phone* phone : people) {
      for (const auto& each : events<client::StatusChanged>(*phone)) {
        if (each.status == client::Status::kSent) out.insert(each.id);
      }
    }
    return out;
  }
  std::size_t place_of(const Phone& phone) {
    return static_cast<std::size_t>(std::ranges::find(people, &phone) - people.begin());
  }
  void vanish_or_return(Phone& phone) {
    phone.reachable = !phone.reachable;
    if (!phone.reachable) restart(phone);
  }
  void lose_chains(std::size_t who) {
    const Bytes first = client::row_key('K', id);
    ports::Batch batch{.partition = Engine::partition()};
    batch.erase_range(ports::Space::kChat, first, client::after_prefix(first));
    ASSERT_TRUE(people[who]->store.write({&batch, 1}, ports::Durability::kSafe));
    restart(*people[who]);
  }
  void restore(std::size_t who) {
    if (!backups[who]) return;
    people[who]->store = *backups[who];
    restored[who] = true;
    restart(*people[who]);
  }
  void heal() {
    for (Phone* phone : people) phone->reachable = true;
    pass(hours(1));
    for (int round = 0; round < 3; ++round) {
      if (round == 2) settled = said.size();
      for (std::size_t i = 0; i < kPeople; ++i) speak(i);
      pass(hours(1));
    }
  }

  // The newest state that anybody has.
  client::GroupView truth() {
    client::GroupView out;
    for (Phone* phone : people) {
      auto seen = view(*phone, id);
      if (seen.version > out.version) out = std::move(seen);
    }
    return out;
  }
  void check() {
    const auto newest = truth();
    std::vector<bool> member(kPeople);
    for (std::size_t i = 0; i < kPeople; ++i) {
      const UserId user = people[i]->engine->profile().user;
      member[i] =
          std::ranges::any_of(newest.members, [&](const auto& each) { return each.user == user; });
      for (const auto& refused : events<client::GroupRefused>(*people[i])) {
        ADD_FAILURE() << i << " refused: " << refused.text;
      }
      if (!member[i]) continue;
      const auto seen = view(*people[i], id);
      EXPECT_EQ(seen.digest, newest.digest)
          << i << " at " << seen.version << " of " << newest.version;
      EXPECT_FALSE(people[i]->engine->busy()) << i;
    }
    for (std::size_t i = 0; i < kPeople; ++i) check_shown(i, member);
  }
  void check_shown(std::size_t reader, const std::vector<bool>& member) {
    std::map<std::string, std::size_t> times;
    for (const std::string& text : shown(*people[reader], id)) ++times[text];
    for (std::size_t n = 0; n < said.size(); ++n) {
      const auto& [text, by, id_of_text] = said[n];
      if (by == reader) continue;
      const std::size_t count = times[text];
      const bool late = reader + 1 == kPeople || by + 1 == kPeople;
      const bool always = !late && !gone[by] && !gone[reader] && !restored[by] && !restored[reader];
      if (!restored[reader]) {
        EXPECT_LE(count, 1u) << reader << " was shown twice: " << text;
      }
      if (always) {
        EXPECT_EQ(count, 1u) << text << " of " << by << " to " << reader;
      }
      if (n >= settled && member[by]) {
        EXPECT_EQ(count, member[reader] ? 1u : 0u) << text << " of " << by << " to " << reader;
      }
      if (reader + 1 == kPeople && (!older || older->contains(id_of_text))) {
        EXPECT_EQ(count, 0u) << "said before they came: " << text;
      }
    }
  }

  std::mt19937_64 random;
  std::vector<Phone*> people;
  GroupId id;
  std::vector<Said> said;
  std::array<std::optional<ports::MemoryStore>, kPeople> backups;
  std::array<bool, kPeople> restored{}, gone{};
  std::optional<std::set<MessageId>> older;  // what was accepted before the last one was added
  std::size_t settled = 0;  // what is said from here on, all are there for
};

TEST_P(GroupLives, Converge) {
  random.seed(static_cast<std::uint64_t>(GetParam()));
  for (std::uint8_t n = 1; n <= kPeople; ++n) people.push_back(&enroll(n));
  id = create(*people[0], "Birds", {people[1], people[2], people[3]});
  ASSERT_TRUE(change(*people[0], id, Act::kPromote, people[1]));
  pass(seconds(5));
  live(60);
  heal();
  check();
}

INSTANTIATE_TEST_SUITE_P(Seeds, GroupLives, testing::Range(1, 25));

}  // namespace
}  // namespace godwit::sim
