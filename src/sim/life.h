// Life: what everything in one simulated world shares: its time, its luck, its record, its judges.
#pragma once

#include "sim/checkers.h"
#include "sim/net.h"
#include "sim/timeline.h"
#include "sim/trace.h"
#include "sim/verdict.h"

namespace godwit::sim {

// A day in November 2023: any day will do, but not 1970, where a missing time looks like a time.
inline constexpr Instant kBirth{1'700'000'000'000};

struct Statistics {
  std::uint64_t seeds = 0;
  std::uint64_t events = 0;
  std::uint64_t composed = 0;
  std::uint64_t shown = 0;
  std::uint64_t acts = 0;  // what people did with messages
  std::uint64_t deliveries = 0;  // envelopes that reached a device
  std::uint64_t late = 0;        // of those shown: in place of one that could not be read
  std::uint64_t requested = 0;   // deliveries that their sender was asked to repeat
  std::uint64_t repeated = 0;    // contents that were sent again
  std::uint64_t sealed = 0;      // parcels submitted without a name, repetitions included
  std::uint64_t named = 0;       // and with one
  std::uint64_t frames = 0;
  std::uint64_t commits = 0;  // of clients; those of the server are in its counters
  std::uint64_t faults = 0;
  std::uint64_t injuries = 0;  // of these
  std::uint64_t simulated_ms = 0;
  std::uint64_t slowest_heal_ms = 0;  // until everything had arrived
};

struct Life {
  explicit Life(std::uint64_t seed, Trace::Print print)
      : luck(seed), timeline(kBirth), trace(kBirth, std::move(print)), net(timeline, luck, trace) {}

  void note(std::string_view who, std::string_view what, std::uint64_t number = 0,
            ByteView octets = {}) {
    trace.note(timeline.now(), who, what, number, octets);
  }
  void fault(std::string_view who, std::string_view what, std::uint64_t number = 0) {
    ++statistics.faults;
    note(who, what, number);
  }
  // A fault that breaks sessions or what they carry, so that something has to be healed.
  void injury(std::string_view who, std::string_view what, std::uint64_t number = 0) {
    fault(who, what, number);
    checkers.never_lost.injured();
    ++statistics.injuries;
  }

  SeededEntropy luck;
  Timeline timeline;
  Trace trace;
  Verdict verdict;
  Checkers checkers;
  Statistics statistics;
  Net net;
  // What is in a seal for this user, and the credential of the device that wrote it.
  struct Unsealed {
    ByteArray<32> writer{};
    proto::CiphertextType type{};
    Bytes ciphertext;
  };
  std::function<std::optional<Unsealed>(UserId to, ByteView sealed)> unseal;
  bool damaged = false;  // the server has turned a bit
  bool asking_damaged = false;  // of a request to repeat something that had no seal
  // A person's device has been registered: what waited for an earlier one is gone.
  std::function<void(DeviceIndex)> took_over;
};

}  // namespace godwit::sim
