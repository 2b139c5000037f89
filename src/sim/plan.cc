#include "sim/plan.h"

namespace godwit::sim {

namespace {

// None in half of the lives, else up to `most` in a thousand.
std::uint32_t rate(Entropy& entropy, std::uint32_t most) {
  return chance(entropy, 500) ? 0 : static_cast<std::uint32_t>(1 + entropy.below(most));
}

void draw_size(Plan& plan, Entropy& entropy) {
  const std::uint64_t size = entropy.below(100);
  plan.shards = static_cast<std::uint16_t>(1 + entropy.below(3));
  if (size < 75) {
    plan.texts = static_cast<std::uint32_t>(between(entropy, 3, 12));
    plan.busy = between(entropy, seconds(20), minutes(3));
  } else if (size < 97) {
    plan.people = static_cast<std::uint32_t>(between(entropy, 2, 3));
    plan.texts = static_cast<std::uint32_t>(between(entropy, 12, 50));
    plan.longest_burst = 12;
    plan.longest_text = 2000;
    plan.busy = between(entropy, minutes(1), minutes(8));
  } else {
    plan.people = static_cast<std::uint32_t>(between(entropy, 2, 4));
    plan.texts = static_cast<std::uint32_t>(between(entropy, 80, 300));
    plan.longest_burst = 80;
    plan.longest_text = limits::kMaxText;
    plan.busy = between(entropy, minutes(2), minutes(15));
  }
}

// Up to five people talk for one to three hours; faults and injuries come as often as in a short
// life.
void lengthen(Plan& plan, Entropy& entropy) {
  plan.people = static_cast<std::uint32_t>(between(entropy, 2, 5));
  plan.busy = between(entropy, hours(1), hours(3));
  plan.texts = plan.people * static_cast<std::uint32_t>(plan.busy.ms / 5000);
  plan.longest_burst = 40;
  plan.longest_text = 4000;
}

}  // namespace

Plan Plan::draw(Entropy& entropy, Length length) {
  Plan plan;
  draw_size(plan, entropy);
  if (length == Length::kLong) lengthen(plan, entropy);
  plan.between_faults = between(entropy, seconds(4), seconds(60));
  // One life in ten is calm: what fails there is not a matter of faults.
  const bool calm = chance(entropy, 100);
  if (!calm) {
    for (std::uint32_t fault = 0; fault < kFaults; ++fault) {
      const bool rare = fault >= static_cast<std::uint32_t>(Fault::kReinstall);
      if (chance(entropy, rare ? 150 : 500)) plan.faults |= 1u << fault;
    }
    if (chance(entropy, 150)) plan.node.damage = static_cast<std::uint32_t>(1 + entropy.below(60));
    plan.net.slowest = between(entropy, milliseconds(2), milliseconds(900));
    plan.net.resets = rate(entropy, 40);
    plan.net.stalls = rate(entropy, 40);
    plan.net.silent = rate(entropy, 500);
    plan.node.bus_loss = rate(entropy, 30);
    plan.node.bus_duplication = rate(entropy, 30);
    if (chance(entropy, 500)) plan.node.bus_slowest = milliseconds(between(entropy, 1, 200));
    plan.node.gateway_failing = rate(entropy, 200);
    plan.node.code_lost = rate(entropy, 200);
    plan.server_disk.slowest = between(entropy, Duration{}, milliseconds(300));
    plan.server_disk.failing = rate(entropy, 60);
    plan.device_disk.slowest = between(entropy, Duration{}, milliseconds(300));
    plan.device_disk.failing = rate(entropy, 60);
  }
  plan.server_dies_when_quiet = chance(entropy, 500);
  plan.month_passes = chance(entropy, 100);
  return plan;
}

}  // namespace godwit::sim
