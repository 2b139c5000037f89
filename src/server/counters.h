// What one shard has counted since the start. Never labelled with people.
#pragma once

#include <cstdint>

namespace godwit::server {

struct Counters {
  std::uint64_t accepted = 0;      // envelopes stored, whose sender hears so
  std::uint64_t sealed = 0;        // of these: from nobody that the server knows
  std::uint64_t certificates = 0;  // signed
  std::uint64_t delivered = 0;     // envelopes pushed to a device
  std::uint64_t acknowledged = 0;  // envelopes erased because the device has them
  std::uint64_t refused_full = 0;  // submissions to a full mailbox
  std::uint64_t rate_limited = 0;
  std::uint64_t repeated = 0;  // envelopes that came again, and had been accepted
  std::uint64_t fanout_retries = 0;  // batches for a member's account that were posted again
  std::uint64_t group_messages = 0;  // accepted by groups
  std::uint64_t fanout_dropped = 0;  // batches for members whose mailbox was full, or gone
  std::uint64_t overloaded = 0;  // submissions refused because the store or the loop is
  std::uint64_t commits = 0;
  std::uint64_t commit_failures = 0;
  std::uint64_t registrations = 0;
  std::uint64_t sessions = 0;  // now
  std::uint64_t entities = 0;  // loaded, now
  std::uint64_t sleeping = 0;  // devices attached to accounts that are not loaded, now
};

}  // namespace godwit::server
