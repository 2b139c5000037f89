#include "client/keepalive.h"

#include <algorithm>
#include <utility>

namespace godwit::client {

void Keepalive::begin(bool at_once, Instant now) {
  const auto deadly = std::exchange(deadly_, std::nullopt);
  if (deadly && at_once) {
    most_ = std::max(Duration{deadly->ms * 2 / 3}, limits::kPingInterval);
    learned_ = now;
  } else if (now - learned_ > limits::kPingMemory || now < learned_) {
    most_ = limits::kPingMost;
  }
  interval_ = limits::kPingInterval;
}

void Keepalive::answered() { interval_ = std::min(Duration{interval_.ms * 3 / 2}, most_); }

}  // namespace godwit::client
