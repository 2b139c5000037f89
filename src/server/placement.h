// Placement: which shard owns a user or a directory handle, and under which epoch.
//
// A key hashes to one of 16,384 slots; a slot belongs to one shard under a lease with an epoch
// (RELIABILITY 1.2). On one node the slots are dealt round to its shards and the lease is held
// until the process ends; a fleet replaces this class, not its callers. Every start of a process
// is a new incarnation with a fresh epoch (R2), counted durably before it serves.
#pragma once

#include "base/bytes.h"
#include "base/id.h"
#include "base/time.h"

namespace godwit::server {

using Slot = std::uint16_t;
inline constexpr Slot kSlots = 16384;

// CRC-16/XMODEM of the key, modulo kSlots.
Slot slot_of(ByteView key);

// The right to serve a slot. An owner acknowledges only while it is valid, and checks that after
// the write returned (R4).
struct Lease {
  std::uint32_t epoch = 0;
  Instant valid_until;
  bool valid(Instant now) const { return now < valid_until; }
};

// Makes the sequences of one slot: epoch << 40 | counter (R3). It outlives the entities of the
// slot, so no sequence is used twice within an epoch, whatever was reloaded in between.
class SequenceSource {
 public:
  explicit SequenceSource(std::uint32_t epoch = 0);
  Sequence next();

 private:
  std::uint64_t last_;
};

class Placement {
 public:
  // `incarnation` counts the starts of this node's process, from 1; fewer than 2^24.
  Placement(std::uint16_t shards, std::uint32_t incarnation);

  ShardId owner(Slot slot) const { return {static_cast<std::uint16_t>(slot % shards_)}; }
  Lease lease(Slot) const { return {epoch_, kNever}; }
  std::uint16_t shards() const { return shards_; }

 private:
  std::uint16_t shards_;
  std::uint32_t epoch_;
};

}  // namespace godwit::server
