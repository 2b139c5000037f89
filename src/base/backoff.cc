#include "base/backoff.h"

#include <algorithm>

namespace godwit {

Duration Backoff::next(Entropy& entropy) {
  const int doublings = static_cast<int>(std::min<std::uint32_t>(tries_++, 20));
  const std::int64_t ceiling = std::min(first_.ms << doublings, max_.ms);
  const std::int64_t floor = ceiling / 2;
  const auto spread = static_cast<std::uint64_t>(ceiling - floor + 1);
  return {floor + static_cast<std::int64_t>(entropy.below(spread))};
}

}  // namespace godwit
