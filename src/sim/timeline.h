// Timeline: virtual time, and what happens when. Events of one instant run in the order in which
// they were planned, so that a life has one order on every machine.
#pragma once

#include <algorithm>
#include <functional>
#include <utility>
#include <vector>

#include "base/entropy.h"
#include "base/time.h"

namespace godwit::sim {

class Timeline {
 public:
  using Event = std::function<void()>;

  explicit Timeline(Instant start) : now_(start) {}

  Instant now() const { return now_; }
  std::uint64_t events() const { return planned_ - heap_.size(); }

  void at(Instant when, Event event) {
    heap_.push_back({std::max(when, now_), planned_++, std::move(event)});
    std::ranges::push_heap(heap_, later);
  }
  void in(Duration delay, Event event) { at(now_ + delay, std::move(event)); }

  // Runs the next event that is due by `end`. False: there is none, and it is `end` now.
  bool step(Instant end) {
    if (heap_.empty() || heap_.front().when > end) {
      now_ = std::max(now_, end);
      return false;
    }
    std::ranges::pop_heap(heap_, later);
    Planned next = std::move(heap_.back());
    heap_.pop_back();
    now_ = next.when;
    next.event();
    return true;
  }

 private:
  struct Planned {
    Instant when;
    std::uint64_t order;
    Event event;
  };
  static bool later(const Planned& a, const Planned& b) {
    return a.when != b.when ? a.when > b.when : a.order > b.order;
  }

  Instant now_;
  std::uint64_t planned_ = 0;
  std::vector<Planned> heap_;
};

// Draws of the simulator itself.
inline bool chance(Entropy& entropy, std::uint32_t per_mille) {
  return per_mille != 0 && entropy.below(1000) < per_mille;
}
inline std::int64_t between(Entropy& entropy, std::int64_t low, std::int64_t high) {
  return low + static_cast<std::int64_t>(entropy.below(static_cast<std::uint64_t>(high - low + 1)));
}
inline Duration between(Entropy& entropy, Duration low, Duration high) {
  return {between(entropy, low.ms, high.ms)};
}

}  // namespace godwit::sim
