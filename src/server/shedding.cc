#include "server/shedding.h"

#include <algorithm>
#include <utility>

#include "base/limits.h"

namespace godwit::server {
namespace {

constexpr std::int64_t kOne = 256;  // submission
constexpr std::int64_t kLeastRate = kOne / 8;
constexpr std::int64_t kMostRate = kOne * 100'000;
constexpr std::int64_t kMemory = 8;  // intervals that the rate is averaged over
constexpr std::int64_t kCreditKept = 4;  // intervals: a round of the loop takes as long

// In 256 parts of the rate, per target: of what the wait is too long by, and of what it grew by.
constexpr std::int64_t kOfExcess = 16;
constexpr std::int64_t kOfGrowth = 96;
constexpr std::int64_t kMostFall = 64;
constexpr std::int64_t kMostRise = 32;

}  // namespace

void Shedding::elapse() {
  taken_ += (std::exchange(taken_now_, std::int64_t{0}) - taken_) / kMemory;
  if (limited_) credit_ = std::min(credit_ + rate_, kCreditKept * rate_);
  others_ /= 2;
  submissions_ /= 2;
}

void Shedding::observe(Duration delay) {
  const std::int64_t target = limits::kShedTarget.ms;
  const std::int64_t grown = delay.ms - std::exchange(delay_, delay).ms;
  const bool refused = std::exchange(refused_, false);
  if (!limited_) {
    if (delay.ms <= target) return;
    limited_ = true;
    rate_ = std::max(taken_, kLeastRate);
    credit_ = 0;
  } else if (!refused && credit_ >= rate_ && delay.ms < target) {  // less is asked for
    rate_ += rate_ / kMemory;
    limited_ = rate_ < kMostRate;
  } else {
    const std::int64_t step = -(kOfExcess * (delay.ms - target) + kOfGrowth * grown) / target;
    rate_ += rate_ * std::clamp(step, -kMostFall, kMostRise) / 256;
    rate_ = std::clamp(rate_, kLeastRate, kMostRate);
  }
}

void Shedding::served() { ++others_; }

bool Shedding::refuses() {
  if (limited_ && credit_ < kOne && submissions_ * limits::kShedLeast >= others_) {
    refused_ = true;
    return true;
  }
  ++submissions_;
  taken_now_ += kOne;
  if (limited_) credit_ = std::max(credit_ - kOne, std::int64_t{0});
  return false;
}

}  // namespace godwit::server
