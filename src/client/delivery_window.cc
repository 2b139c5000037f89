#include "client/delivery_window.h"

#include <algorithm>

namespace godwit::client {

DeliveryWindow::Seen DeliveryWindow::accept(std::uint32_t stream, std::uint64_t number) {
  if (number == 0) return Seen::kDuplicate;
  if (stream == before_.id && before_.highest != 0) return before_.accept(number);
  if (stream != present_.id || present_.highest == 0) {
    before_ = std::move(present_);
    present_ = {.id = stream};
  }
  return present_.accept(number);
}

DeliveryWindow::Seen DeliveryWindow::Stream::accept(std::uint64_t number) {
  if (number > highest) {
    const std::uint64_t gap =
        std::min<std::uint64_t>(number - highest - 1, limits::kMissingNumbers);
    for (std::uint64_t n = number - gap; n < number; ++n) missing.push_back(n);
    if (missing.size() > limits::kMissingNumbers) {
      const auto surplus = static_cast<std::ptrdiff_t>(missing.size() - limits::kMissingNumbers);
      missing.erase(missing.begin(), missing.begin() + surplus);
    }
    highest = number;
    return Seen::kNew;
  }
  const auto found = std::ranges::lower_bound(missing, number);
  if (found == missing.end() || *found != number) return Seen::kDuplicate;
  missing.erase(found);
  return Seen::kLate;
}

}  // namespace godwit::client
