// Exponential backoff with full jitter: the wait doubles up to a ceiling, drawn at random below it.
#pragma once

#include "base/entropy.h"
#include "base/time.h"

namespace godwit {

class Backoff {
 public:
  constexpr Backoff(Duration first, Duration max) : first_(first), max_(max) {}

  // The time to wait before the next try: uniform in [ceiling/2, ceiling].
  Duration next(Entropy& entropy);
  // Call after a success.
  void reset() { tries_ = 0; }
  std::uint32_t tries() const { return tries_; }

 private:
  Duration first_;
  Duration max_;
  std::uint32_t tries_ = 0;
};

}  // namespace godwit
