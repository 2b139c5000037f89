// RateWindow: at most `limit` events within `window`, counted in fixed windows.
//
// Coarse on purpose: two integers per subject. A burst over a window's edge may reach 2 x limit.
#pragma once

#include "base/time.h"

namespace godwit::server {

struct RateWindow {
  Instant start;
  std::uint32_t count = 0;

  // Counts one event; false when the limit is reached, and then it is not counted.
  bool allow(Instant now, std::uint32_t limit, Duration window) {
    if (start + window <= now || now < start) {
      start = now;
      count = 0;
    }
    if (count >= limit) return false;
    ++count;
    return true;
  }
  bool running(Instant now, Duration window) const { return now < start + window && start <= now; }
  // How long until the next window.
  Duration wait(Instant now, Duration window) const { return (start + window) - now; }

  static void fields(auto& m, auto& field) {
    field(1, m.start);
    field(2, m.count);
  }
};

}  // namespace godwit::server
