// Plan: what one seed draws: how many people, how much they write, which weather, which faults.
// Most lives are tiny, a few are large; each has some kinds of fault and not others. A long life is
// one where thousands of texts pay for making the accounts, and all else grows in proportion.
#pragma once

#include "sim/disk.h"
#include "sim/net.h"
#include "sim/node.h"

namespace godwit::sim {

enum class Fault : std::uint32_t {
  kServerDies,
  kServerDiesBetweenOutputs,
  kServerRestarts,
  kDeviceDies,
  kDeviceDiesBetweenEffects,
  kDeviceIsOff,
  kDeviceIsCut,
  kConnectionsReset,
  kServerDiskFull,
  kDeviceDiskFull,
  kClockTurns,
  kReinstall,
  // injuries: they break sessions
  kSessionsLost,
  kRestored,  // from a backup
};
inline constexpr std::uint32_t kFaults = 14;

enum class Length { kShort, kLong };

struct Plan {
  std::uint32_t people = 2;
  std::uint16_t shards = 1;
  std::uint32_t texts = 10;
  std::uint32_t longest_burst = 3;
  std::size_t longest_text = 200;
  Duration busy = minutes(2);
  Duration between_faults = seconds(20);  // at most
  std::uint32_t faults = 0;  // a bit for each Fault
  Net::Weather net;
  Node::Weather node;
  Disk::Weather server_disk;
  Disk::Weather device_disk;
  bool server_dies_when_quiet = false;
  bool month_passes = false;

  bool has(Fault fault) const { return (faults >> static_cast<std::uint32_t>(fault) & 1) != 0; }
  static Plan draw(Entropy& entropy, Length length);
};

}  // namespace godwit::sim
