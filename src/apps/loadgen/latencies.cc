#include "apps/loadgen/latencies.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace godwit::loadgen {

// The first two octaves' worth are exact: bucket = value.
std::size_t Latencies::bucket_of(std::uint64_t value) {
  const int octave = std::max(static_cast<int>(std::bit_width(value)) - kStepBits - 1, 0);
  return (static_cast<std::size_t>(octave) << kStepBits) + (value >> octave);
}

std::uint64_t Latencies::top_of(std::size_t bucket) {
  const std::size_t octave = bucket < (2U << kStepBits) ? 0 : (bucket >> kStepBits) - 1;
  return ((bucket - (octave << kStepBits) + 1) << octave) - 1;
}

void Latencies::add(std::int64_t microseconds) {
  constexpr std::int64_t kMost = (std::int64_t{1} << 31) - 1;
  const auto value = static_cast<std::uint64_t>(std::clamp<std::int64_t>(microseconds, 0, kMost));
  ++buckets_[bucket_of(value)];
  ++count_;
}

void Latencies::merge(const Latencies& other) {
  for (std::size_t i = 0; i < buckets_.size(); ++i) buckets_[i] += other.buckets_[i];
  count_ += other.count_;
}

std::int64_t Latencies::quantile(double share) const {
  const auto wanted = static_cast<std::uint64_t>(std::ceil(share * static_cast<double>(count_)));
  std::uint64_t seen = 0;
  for (std::size_t i = 0; i < buckets_.size(); ++i) {
    seen += buckets_[i];
    if (seen >= wanted && seen > 0) return static_cast<std::int64_t>(top_of(i));
  }
  return 0;
}

}  // namespace godwit::loadgen
