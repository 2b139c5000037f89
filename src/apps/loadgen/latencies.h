// Latencies: a histogram of durations in microseconds, exact to 1.6 % from 1 us to 35 minutes.
//
// Add from one thread; merge when the threads are done.
#pragma once

#include <array>
#include <cstdint>

namespace godwit::loadgen {

class Latencies {
 public:
  void add(std::int64_t microseconds);
  void merge(const Latencies& other);
  std::uint64_t count() const { return count_; }
  // The duration that `share` (0 to 1) of all stay within, 0 when there are none.
  std::int64_t quantile(double share) const;

 private:
  // A value lies in the octave of its highest bit; an octave has 64 steps.
  static constexpr int kStepBits = 6;
  static constexpr int kOctaves = 31 - kStepBits;
  static std::size_t bucket_of(std::uint64_t value);
  static std::uint64_t top_of(std::size_t bucket);

  std::array<std::uint64_t, (kOctaves + 1) << kStepBits> buckets_{};
  std::uint64_t count_ = 0;
};

}  // namespace godwit::loadgen
