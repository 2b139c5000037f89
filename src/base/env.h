// What every state machine is told besides the event itself: the time and the randomness.
#pragma once

#include "base/entropy.h"
#include "base/time.h"

namespace godwit {

struct Env {
  Instant now;
  Entropy& entropy;
};

}  // namespace godwit
