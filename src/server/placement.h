// Placement: which shard owns a user, and under which epoch.
//
// A user or directory handle hashes to one of 16,384 slots; a slot belongs to one shard under a
// lease with an epoch (RELIABILITY 1.2). On one node the slots are dealt round to its shards and
// the lease is held until the process ends; a fleet replaces this class, not its callers.
//
// Epochs: every start of a process reserves kEpochsPerStart epochs durably before it serves, so
// no epoch is ever used by two incarnations (R2). Within a process an owner that may have lost
// track of what is stored (a failed commit) takes a fresh one by renew().
#pragma once

#include <vector>

#include "base/bytes.h"
#include "base/id.h"
#include "base/time.h"

namespace godwit::server {

using Slot = std::uint16_t;
inline constexpr Slot kSlots = 16384;
inline constexpr std::uint32_t kEpochsPerStart = 256;
inline constexpr std::uint32_t kMaxEpoch = (1u << 24) - 1;  // 24 bits above a 40-bit counter

// CRC-16/XMODEM of the key, modulo kSlots.
Slot slot_of(ByteView key);

struct Lease {
  Slot slot = 0;
  std::uint32_t epoch = 0;
  Instant valid_until;
  bool valid(Instant now) const { return now < valid_until; }
};

class Placement {
 public:
  // `incarnation` counts the starts of this node's process, from 1; its epochs are
  // incarnation * kEpochsPerStart and the 255 that follow.
  Placement(std::uint16_t shards, std::uint32_t incarnation);

  ShardId owner(Slot slot) const { return {static_cast<std::uint16_t>(slot % shards_)}; }
  std::uint16_t shards() const { return shards_; }
  std::uint32_t first_epoch() const { return first_epoch_; }

 private:
  std::uint16_t shards_;
  std::uint32_t first_epoch_;
};

}  // namespace godwit::server
