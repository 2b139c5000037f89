// A group in a life: who is in it changes while things break; healed, all agree on it.
#include <algorithm>

#include "sim/world.h"

namespace godwit::sim {

using Act = client::Engine::GroupAct;

void World::person_in_group(Device& device) {
  if (!device.running() || !device.registered()) return;
  if (group_.is_nil()) return make_group(device);
  if (device.view(group_).id.is_nil()) {
    // What a process that died had not stored never was.
    if (device.index() == founder_ && group_states().empty()) make_group(device);
    return;
  }
  const std::uint64_t what = life_.luck.below(100);
  if (what < 45) (void)speak(device);
  else if (what < 60) change_group(device);
  else if (what < 70) device.read_all(group_);
  else device.fiddle(group_, anybody());
}

// Its name must not be seen on the server either.
void World::make_group(Device& device) {
  (void)device.does([&](auto& engine, Env& env, auto& out) -> Result<void> {
    const auto made = engine.create_group(std::string(kCanary) + "birds", env, out);
    if (!made) return fail(made.error());
    group_ = *made;
    founder_ = device.index();
    ++groups_made_;
    for (const auto& other : people_) {
      if (other.get() == &device || chance(life_.luck, 200)) continue;
      (void)engine.change_group(group_, Act::kAdd, other->phone(), env, out);
      if (chance(life_.luck, 500)) {
        (void)engine.change_group(group_, Act::kPromote, other->phone(), env, out);
      }
    }
    return {};
  });
}

void World::change_group(Device& device) {
  static constexpr Act kActs[] = {Act::kAdd,     Act::kAdd,    Act::kAdd,    Act::kRemove,
                                  Act::kPromote, Act::kDemote, Act::kDemote, Act::kLeave};
  const Act act = kActs[static_cast<std::size_t>(life_.luck.below(std::size(kActs)))];
  if (act == Act::kLeave && life_.luck.below(4) != 0) return;
  const std::string whom = act == Act::kLeave ? std::string() : anybody().phone();
  life_.note("group", "is to change", static_cast<std::uint64_t>(act));
  (void)device.does([&](auto& engine, Env& env, auto& out) {
    return engine.change_group(group_, act, whom, env, out);
  });
}

// To all whom the writer sees in it. Once the world has healed, that is who is in it.
bool World::speak(Device& device) {
  const client::GroupView seen = device.view(group_);
  std::vector<std::uint32_t> readers;
  for (const auto& person : people_) {
    const bool listed = std::ranges::any_of(
        seen.members, [&](const auto& member) { return member.user == person->user(); });
    if (person.get() == &device || !listed) continue;
    if (chaos_ || person->view(group_).member) readers.push_back(person->index());
  }
  return device.speak(group_, groups_made_, static_cast<std::size_t>(life_.luck.below(300)),
                      std::move(readers));
}

void World::everybody_speaks() {
  const GroupWatch::States states = group_states();
  if (states.empty()) return;
  for (const auto& device : people_) {
    const bool in = device->view(group_).member && is_in_group(*device, states.rbegin()->second);
    if (!in || speak(*device)) continue;
    life_.verdict.broken("converges", "a healed member cannot speak");
  }
}

// ---- what must be so

std::vector<UserId> World::users() const {
  std::vector<UserId> out;
  for (const auto& device : people_) out.push_back(device->user());
  return out;
}

GroupWatch::States World::group_states() {
  GroupWatch::States states;
  std::vector<proto::SignedTransition> changes;  // in their order
  proto::GroupState state;
  node_->disk().rows().each(
      ports::Space::kGroup, [&](ByteView partition, ByteView key, ByteView value, Instant) {
        if (!same(partition, group_.view()) || key.empty()) return;
        if (key[0] == 'B') state = decode<proto::GroupState>(value).value_or(proto::GroupState{});
        if (key[0] != 'T') return;
        if (auto change = decode<proto::SignedTransition>(value)) {
          changes.push_back(std::move(*change));
        }
      });
  if (state.version != 0) states[state.version] = state;
  for (const proto::SignedTransition& change : changes) {
    auto next = proto::advance(state, change);
    if (!next) continue;
    state = states[next->version] = std::move(*next);
  }
  return states;
}

// A device that was registered anew is not in it until it is added again.
bool World::is_in_group(Device& device, const proto::GroupState& state) {
  const proto::GroupMember* member = state.member(device.user());
  return member && member->identity == device.identity();
}

void World::forgive_who_came_or_went() {
  for (const auto& device : people_) device->audit();  // what is forgiven must be known
  const GroupWatch::States states = group_states();
  for (const auto& device : people_) {
    bool was_in = false, always = true;
    for (const auto& [version, state] : states) {
      const bool in = is_in_group(*device, state);
      always = always && (in || (!was_in && !state.member(device->user())));
      was_in = was_in || in;
    }
    came_back_ = came_back_ || !always;
    // What was damaged is not asked for again if the asking was damaged, too.
    if (always && was_in && !life_.asking_damaged) continue;
    came_or_went_.insert(device->user());
    life_.checkers.never_lost.came_or_went(device->index(), groups_made_);
  }
  if (groups_ask()) life_.checkers.never_lost.asked_for();
}

// Who comes back to a group, or has a new phone, gets some of what was said before. And nobody
// waits for a member to whom the server cannot store the chain.
bool World::groups_ask() const {
  const bool full = plan_.server_disk.failing != 0 || plan_.has(Fault::kServerDiskFull);
  return grouped_ && (came_back_ || full);
}

void World::check_group() {
  const GroupWatch::States states = group_states();
  if (states.empty() || !life_.verdict.good()) return;
  const proto::GroupState& newest = states.rbegin()->second;
  // Where all who had its key have lost their devices, nobody can tell those who were just added.
  const bool known = std::ranges::any_of(people_, [&](const auto& device) {
    return is_in_group(*device, newest) && device->view(group_).version != 0;
  });
  for (const auto& device : people_) {
    const client::GroupView seen = device->view(group_);
    const std::string who = "device " + std::to_string(device->index());
    if (!is_in_group(*device, newest)) {
      // Nobody tells them again if that was lost.
      if (!seen.member || life_.statistics.injuries != 0) continue;
      life_.verdict.broken("group_agrees", who + " believes that it is in the group");
    } else if (known && seen.digest != proto::digest(newest)) {
      life_.verdict.broken("group_agrees", who + " sees version " + std::to_string(seen.version) +
                                               " of " + std::to_string(newest.version));
    }
    if (life_.statistics.injuries != 0 || came_or_went_.contains(device->user())) continue;
    for (const client::Message& message : device->history()) {
      if (message.chat != client::ChatId(group_)) continue;
      for (const client::Arrival& arrival : message.arrivals) {
        const bool stays = !came_or_went_.contains(arrival.member);
        if (!stays || message.deleted || arrival.delivered.ms != 0) continue;
        life_.verdict.broken("converges", who + " does not hear that a text has arrived");
      }
    }
  }
}

void World::check_group_acts() {
  for (const auto& one : people_) {
    for (const auto& other : people_) {
      if (one->index() >= other->index() || !one->running() || !other->running()) continue;
      if (came_or_went_.contains(one->user()) || came_or_went_.contains(other->user())) continue;
      compare_acts(one->acts_in(group_), other->acts_in(group_));
    }
  }
}

}  // namespace godwit::sim
