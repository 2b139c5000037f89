// Shedding: which submissions a shard refuses, so that whoever is connected is soon heard.
//
// Submissions are taken at most at a rate, which follows how long clients wait to be heard: it
// falls while they wait longer than limits::kShedTarget, and rises while they wait less; that the
// wait changes damps it. A rate, and not a share, holds when three times as much is asked for
// from one moment to the next. Nothing is limited until somebody waits.
//
// Invariants:
//   * what makes less work (acknowledgements, pings) is never asked about, so never refused;
//   * submissions keep one in limits::kShedLeast of what is served: when it is not they that take
//     the time, refusing all of them would help nobody.
//
// It knows no clock: its owner says when time went by. One thread.
#pragma once

#include <cstdint>

#include "base/time.h"

namespace godwit::server {

class Shedding {
 public:
  // Once for every limits::kShedInterval that went by.
  void elapse();
  // At most once in an interval: how long clients wait to be heard, as measured since the last one.
  void observe(Duration delay);
  // Something else than a submission was served.
  void served();
  // Whether the submission that just came is refused.
  bool refuses();

 private:
  bool limited_ = false;
  // In parts of a submission.
  std::int64_t rate_ = 0;  // per interval, while it is limited
  std::int64_t credit_ = 0;  // that may come now
  std::int64_t taken_ = 0;  // per interval, of late
  std::int64_t taken_now_ = 0;  // in this interval
  bool refused_ = false;  // some, since the last observation
  Duration delay_;  // as observed last
  std::int64_t others_ = 0;  // served, this interval and (halved) those before ...
  std::int64_t submissions_ = 0;  // ... and of submissions
};

}  // namespace godwit::server
