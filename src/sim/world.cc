#include "sim/world.h"

#include <algorithm>
#include <utility>

namespace godwit::sim {

World::World(std::uint64_t seed, Trace::Print print, Length length)
    : life_(seed, std::move(print)),
      length_(length),
      deeds_(seed % 5 == 4),
      grouped_(seed % 4 == 3),
      named_(seed % 7 == 1) {
  life_.took_over = [this](DeviceIndex person) {
    for (const auto& each : people_) each->audit();  // what is forgiven must be known
    life_.checkers.never_lost.replaced(person);
  };
  life_.unseal = [this](UserId to, ByteView sealed) { return unseal(to, sealed); };
}
World::~World() = default;

void World::begin(std::uint16_t shards) {
  node_ = std::make_unique<Node>(
      life_, shards, [this](DeviceIndex index) { return people_[index]->peer(); },
      [this](const std::string& phone, const std::string& code) {
        for (const auto& device : people_) {
          if (device->phone() == phone) device->code_arrived(code);
        }
      });
  if (chance(life_.luck, 750)) {
    node_->set_write_behind(between(life_.luck, milliseconds(1), milliseconds(2000)));
  }
  if (named_) node_->give_no_certificates();
  node_->start();
}

std::optional<Life::Unsealed> World::unseal(UserId to, ByteView sealed) {
  for (const auto& reader : people_) {
    if (reader->user() != to) continue;
    auto content = reader->unseal(sealed);
    if (!content) continue;
    for (const auto& writer : people_) {
      if (writer->user() != content->sender.user) continue;
      const bool starts = content->type == e2e::SealedType::kPrekey;
      return Life::Unsealed{
          writer->peer(), starts ? proto::CiphertextType::kPrekey : proto::CiphertextType::kWhisper,
          std::move(content->message)};
    }
  }
  return std::nullopt;
}

Device& World::add_person(std::string phone) {
  life_.checkers.no_plaintext.person(phone);
  const auto index = static_cast<DeviceIndex>(people_.size());
  people_.push_back(std::make_unique<Device>(life_, index, std::move(phone)));
  return *people_.back();
}

void World::pass(Duration time) {
  const Instant end = life_.timeline.now() + time;
  while (life_.verdict.good() && life_.timeline.step(end)) {
  }
}

bool World::await(Duration limit, const std::function<bool()>& done) {
  const Instant end = life_.timeline.now() + limit;
  while (life_.verdict.good()) {
    if (done()) return true;
    if (life_.timeline.now() >= end) return false;
    pass(milliseconds(500));
  }
  return false;
}

Outcome World::run() {
  plan_ = Plan::draw(life_.luck, length_);
  if (grouped_) {
    plan_.people = std::max(plan_.people, static_cast<std::uint32_t>(between(life_.luck, 3, 5)));
  }
  begin(plan_.shards);
  for (std::uint32_t i = 0; i < plan_.people; ++i) {
    Device& device = add_person("+33612345" + std::to_string(100 + i));
    life_.timeline.in(between(life_.luck, Duration{}, seconds(3)), [&device] {
      device.start();
      device.want_account();
    });
    device.disk().set_weather(plan_.device_disk);
    if (deeds_) device.grow_lively();
  }
  life_.net.set_weather(plan_.net);
  node_->set_weather(plan_.node);
  node_->disk().set_weather(plan_.server_disk);
  texts_left_ = plan_.texts;
  chaos_ = true;
  for (const auto& device : people_) {
    life_.timeline.in(soon(), [this, &device] { person_acts(*device); });
  }
  life_.timeline.in(soon(), [this] { things_break(); });
  pass(plan_.busy);

  heal();
  settle("after the faults");
  if (life_.statistics.injuries != 0) recover();
  check_quiet();
  last_round();
  if (plan_.month_passes) long_absence();
  life_.checkers.never_lost.check_at_end(life_.verdict);
  if (grouped_) life_.checkers.groups.check(group_, group_states(), users(), life_.verdict);

  for (const auto& device : people_) {
    if (device->running()) device->count();
  }
  const Statistics& healed = life_.statistics;
  // A bus that doubles messages may double envelopes, which after a restart look like an injury.
  const bool doubled = plan_.node.bus_duplication != 0;
  if (life_.statistics.injuries == 0 && !doubled && !groups_ask() &&
      healed.requested + healed.repeated + healed.late != 0) {
    life_.verdict.broken("nothing_to_heal",
                         std::to_string(healed.requested) + " deliveries were asked for again, " +
                             std::to_string(healed.repeated) + " contents repeated, " +
                             std::to_string(healed.late) + " shown late, and nothing was injured");
  }
  life_.statistics.seeds = 1;
  life_.statistics.events = life_.timeline.events();
  life_.statistics.simulated_ms = static_cast<std::uint64_t>((life_.timeline.now() - kBirth).ms);
  return {life_.trace.hash(), life_.verdict.first(), life_.statistics};
}

// ---- what people do

void World::person_acts(Device& device) {
  if (!chaos_) return;
  const std::uint64_t what = life_.luck.below(100);
  Device& other = anybody();
  if (&other != &device && other.registered()) {
    if (what < 15) {
      device.read_all(other);
    } else if (texts_left_ > 0) {
      std::uint64_t burst = what < 80 ? 1 : 1 + life_.luck.below(plan_.longest_burst);
      const bool large = what == 99;
      for (; burst > 0 && texts_left_ > 0; --burst) {
        const auto size =
            static_cast<std::size_t>(life_.luck.below(large ? plan_.longest_text : 200));
        if (device.compose(other, size)) --texts_left_;
      }
    }
  }
  if (deeds_) device.fiddle(device.chat_with(other), other);
  if (grouped_) person_in_group(device);
  life_.timeline.in(soon(), [this, &device] { person_acts(device); });
}

// ---- what happens to them

void World::things_break() {
  if (!chaos_) return;
  const auto fault = static_cast<Fault>(life_.luck.below(kFaults));
  if (plan_.has(fault)) break_something(fault);
  life_.timeline.in(between(life_.luck, milliseconds(100), plan_.between_faults),
                    [this] { things_break(); });
}

void World::server_dies() {
  node_->kill();
  const Duration away = between(life_.luck, milliseconds(100), seconds(15));
  life_.timeline.in(away, [this] {
    if (!node_->running()) node_->start();
  });
}

void World::server_restarts() {
  node_->stop([this] {
    life_.timeline.in(between(life_.luck, milliseconds(10), seconds(3)), [this] {
      if (!node_->running()) node_->start();
    });
  });
}

void World::break_something(Fault fault) {
  Device& device = anybody();
  const Duration while_ = between(life_.luck, seconds(1), seconds(40));
  const Instant until = life_.timeline.now() + while_;
  switch (fault) {
    case Fault::kServerDies: return server_dies();
    case Fault::kServerDiesBetweenOutputs:
      return node_->kill_after(static_cast<std::uint32_t>(between(life_.luck, 1, 40)),
                               [this] { server_dies(); });
    case Fault::kServerRestarts: return server_restarts();
    case Fault::kDeviceDies:
    case Fault::kDeviceIsOff:
      device.kill();
      return device.start_in(fault == Fault::kDeviceDies ? Duration{while_.ms / 10} : while_);
    case Fault::kDeviceDiesBetweenEffects:
      return device.kill_after(static_cast<std::uint32_t>(between(life_.luck, 1, 20)));
    case Fault::kDeviceIsCut:
      life_.fault("net", "cuts", device.index());
      return life_.net.cut(device.index(), until);
    case Fault::kConnectionsReset: return life_.net.reset_all_of(device.index());
    case Fault::kServerDiskFull:
    case Fault::kDeviceDiskFull: {
      const bool server = fault == Fault::kServerDiskFull;
      Disk& disk = server ? node_->disk() : device.disk();
      const Disk::Weather before = server ? plan_.server_disk : plan_.device_disk;
      Disk::Weather full = before;
      full.full = true;
      life_.fault(server ? "server" : "device", "has a full disk");
      disk.set_weather(full);
      return life_.timeline.in(while_, [this, &disk, before] {
        if (chaos_) disk.set_weather(before);
      });
    }
    case Fault::kClockTurns:
      return device.turn_clock({between(life_.luck, -hours(30).ms, hours(30).ms)});
    case Fault::kReinstall:
      if (!device.registered()) return;
      for (const auto& each : people_) each->audit();
      return device.reinstall();
    case Fault::kSessionsLost:
      device.lose_sessions();
      return device.start_in(Duration{while_.ms / 10});
    case Fault::kRestored:
      if (chance(life_.luck, 500)) return device.back_up();
      for (const auto& each : people_) each->audit();  // what is forgiven must be known
      device.restore();
      return device.start_in(Duration{while_.ms / 10});
  }
}

// ---- what must come true

void World::heal() {
  life_.note("world", "heals");
  chaos_ = false;
  life_.net.set_weather({});
  life_.net.heal();
  node_->set_weather({});
  node_->disk().set_weather({});
  node_->kill_after(0, {});
  if (!node_->running()) node_->start();
  for (const auto& device : people_) {
    device->kill_after(0);
    device->disk().set_weather({});
    device->start();
  }
}

bool World::all_settled() {
  return std::ranges::all_of(people_, [](const auto& device) { return device->settled(); }) &&
         life_.net.idle() && node_->idle() && node_->stored_envelopes() == 0;
}

std::string World::unsettled() {
  for (const auto& device : people_) {
    if (device->settled()) continue;
    const std::string who = "device " + std::to_string(device->index());
    if (!device->running()) return who + " does not run";
    if (!device->registered()) return who + " is not registered";
    return who + " still waits, with " + std::to_string(device->engine()->outbox_size()) +
           " messages in its outbox";
  }
  return std::to_string(node_->stored_envelopes()) + " envelopes are still stored";
}

void World::settle(std::string_view when) {
  const Instant begin = life_.timeline.now();
  const bool settled = await(kHealed, [this] { return all_settled(); });
  if (!settled) return life_.verdict.broken("converges", std::string(when) + ": " + unsettled());
  const auto took = static_cast<std::uint64_t>((life_.timeline.now() - begin).ms);
  life_.statistics.slowest_heal_ms = std::max(life_.statistics.slowest_heal_ms, took);
}

// What was injured heals as people go on writing: a sign of life is what makes a sender repeat what
// nobody confirmed.
void World::recover() {
  for (int round = 0; round < 3 && life_.verdict.good(); ++round) {
    everybody_writes();
    if (grouped_) everybody_speaks();
    settle("while it recovers");
    pass(minutes(30));
  }
}

void World::check_quiet() {
  if (!life_.verdict.good()) return;
  life_.note("world", "is quiet");
  if (grouped_ && !was_quiet_) forgive_who_came_or_went();
  was_quiet_ = true;
  for (const auto& device : people_) {
    device->audit();
    device->check_restore();
    device->check_delivered();
    device->check_unread();
  }
  life_.checkers.never_lost.check_at_end(life_.verdict);
  check_acts();
  if (grouped_) check_group();
}

// Whatever was done to a message looks the same on both sides. Not where somebody forgot what they
// did or had, or clocks that were turned back and forth made it too late for one side.
void World::check_acts() {
  const bool forgetful = plan_.has(Fault::kReinstall) || plan_.has(Fault::kRestored) ||
                         plan_.has(Fault::kSessionsLost) || plan_.has(Fault::kClockTurns);
  if (forgetful || life_.statistics.injuries != 0) return;
  if (grouped_) check_group_acts();
  if (!deeds_) return;
  for (const auto& one : people_) {
    for (const auto& other : people_) {
      if (one->index() >= other->index() || !one->running() || !other->running()) continue;
      compare_acts(one->acts_in(one->chat_with(*other)), other->acts_in(other->chat_with(*one)));
    }
  }
}

// People read all there is, and later look at it again: what was to disappear is gone, and what may
// be done for a while only may not be done any more.
void World::look_back() {
  for (const auto& device : people_) {
    for (const auto& other : people_) device->read_all(*other);
    if (grouped_) device->read_all(group_);
  }
  pass(minutes(20));
  settle("after all is read");
  if (!life_.verdict.good()) return;
  const bool exact = life_.statistics.injuries == 0 && !plan_.has(Fault::kClockTurns);
  for (const auto& device : people_) {
    if (exact) device->check_read();
    for (const auto& other : people_) device->fiddle(device->chat_with(*other), *other);
    if (grouped_) device->fiddle(group_, anybody());
  }
  settle("after looking back");
}

void World::compare_acts(const std::map<MessageId, std::string>& ours,
                         const std::map<MessageId, std::string>& theirs) {
  for (const auto& [id, words] : ours) {
    const auto same = theirs.find(id);
    if (same == theirs.end() || same->second == words) continue;
    life_.verdict.broken("acts_agree", "message " + to_hex(id.view()) + " is '" + words +
                                           "' here and '" + same->second + "' there");
  }
}

// Everybody writes to everybody once more, after a restart of the server in half of the lives: what
// it restored must serve as well as what it held.
void World::last_round() {
  if (!life_.verdict.good()) return;
  if (deeds_ || grouped_) look_back();
  if (plan_.server_dies_when_quiet) server_dies();
  everybody_writes();
  if (grouped_) everybody_speaks();
  settle("after the last round");
  check_quiet();
}

void World::everybody_writes() {
  for (const auto& from : people_) {
    for (const auto& to : people_) {
      if (from != to && !from->compose(*to, 100)) {
        life_.verdict.broken("converges", "a healed device cannot write");
      }
    }
  }
}

// One device stays away for longer than the server keeps what waits for it.
void World::long_absence() {
  if (!life_.verdict.good()) return;
  Device& away = anybody();
  away.kill();
  for (const auto& from : people_) {
    if (from.get() != &away) (void)from->compose(away, 100);
  }
  pass(minutes(1));
  if (node_->stored_envelopes() == 0) {
    life_.verdict.broken("bounded_retention", "nothing waits for a device that is away");
  }
  all_sleep(days(31));
  if (const std::uint64_t kept = node_->stored_envelopes(); kept != 0) {
    life_.verdict.broken("bounded_retention", std::to_string(kept) + " envelopes outlived it");
  }
  life_.checkers.never_lost.replaced(away.index());
  for (const auto& device : people_) device->start();
  settle("after a month");
  last_round();
}

void World::all_sleep(Duration time) {
  std::vector<Device*> asleep;
  for (const auto& device : people_) {
    if (!device->running()) continue;
    device->kill();
    asleep.push_back(device.get());
  }
  node_->set_tick(hours(1));
  for (const Instant end = life_.timeline.now() + time; life_.timeline.now() < end;) {
    pass(days(1));
    node_->disk().expire(life_.timeline.now());
    if (!life_.verdict.good()) return;
  }
  node_->set_tick(seconds(1));
  for (Device* device : asleep) device->start();
}

}  // namespace godwit::sim
