// World: one whole installation, from its first start to its last check.
//
// run() lives the life of a seed: people register and write while things break; then everything is
// healed, and what was promised must have come true within kHealed. play() is for scenarios: the
// same world, without any weather, moved by hand.
#pragma once

#include <memory>

#include "sim/device.h"
#include "sim/node.h"
#include "sim/plan.h"

namespace godwit::sim {

inline constexpr Duration kHealed = minutes(30);  // a number may ask for five codes in ten minutes

struct Outcome {
  std::uint64_t hash = 0;
  std::optional<Violation> violation;
  Statistics statistics;
};

class World {
 public:
  explicit World(std::uint64_t seed, Trace::Print print = {}, Length length = Length::kShort);
  ~World();

  Outcome run();

  // ---- for scenarios, which add people and move time themselves
  Life& life() { return life_; }
  Node& node() { return *node_; }
  Device& add_person(std::string phone);
  Device& person(std::size_t index) { return *people_[index]; }
  void begin(std::uint16_t shards);
  void pass(Duration time);
  // Moves time until `done`, at most for `limit`. False: it did not come to pass, or a promise
  // broke.
  bool await(Duration limit, const std::function<bool()>& done);
  // Nobody's process runs for `time`, a day at least; who ran before runs again.
  void all_sleep(Duration time);
  void server_dies();
  void server_restarts();

 private:
  // What a sealed parcel says, for checkers.
  std::optional<Life::Unsealed> unseal(UserId to, ByteView sealed);
  void people_write();
  void person_acts(Device& device);
  // ---- in a group: in world_groups.cc
  void person_in_group(Device& device);
  void make_group(Device& device);
  void change_group(Device& device);
  bool speak(Device& device);
  void everybody_speaks();
  void forgive_who_came_or_went();
  void check_group();
  void check_group_acts();
  // All that the group was, by version, as the server has it.
  GroupWatch::States group_states();
  bool is_in_group(Device& device, const proto::GroupState& state);
  std::vector<UserId> users() const;
  // Whether something in it could not be read at first although nothing was injured.
  bool groups_ask() const;
  void things_break();
  void break_something(Fault fault);
  void heal();
  void settle(std::string_view when);
  bool all_settled();
  void check_quiet();
  void check_acts();
  void compare_acts(const std::map<MessageId, std::string>& ours,
                    const std::map<MessageId, std::string>& theirs);
  void recover();
  void everybody_writes();
  void look_back();
  void last_round();
  void long_absence();
  Device& anybody() { return *people_[static_cast<std::size_t>(life_.luck.below(people_.size()))]; }
  Duration soon() { return between(life_.luck, milliseconds(200), seconds(15)); }
  std::string unsettled();

  Life life_;
  const Length length_;
  Plan plan_;
  std::unique_ptr<Node> node_;
  std::vector<std::unique_ptr<Device>> people_;
  std::uint32_t texts_left_ = 0;
  const bool deeds_;  // people do things with messages: in one life of five
  const bool grouped_;  // people are in a group: in one life of four
  GroupId group_;
  std::uint32_t groups_made_ = 0;
  DeviceIndex founder_ = 0;
  std::set<UserId> came_or_went_;  // known once the world is quiet
  bool came_back_ = false;  // somebody, or they may
  bool was_quiet_ = false;
  const bool named_;  // the server gives no certificates: in one life of seven
  bool chaos_ = false;
};

}  // namespace godwit::sim
