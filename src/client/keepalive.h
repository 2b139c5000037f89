// Keepalive: how long a connection may be silent before the server is asked whether it is there.
//
// What lies between (address translation, mostly) forgets silent connections, each after its own
// time. So every connection starts with the shortest silence, limits::kPingInterval, and dares
// more with each answer, up to limits::kPingMost. Where one died of its silence, later ones stay
// below that for limits::kPingMemory. What cannot be told apart is not blamed: a server or a
// network that is away does not take the next connection at once.
//
// It knows no network by name: whoever moves to another has a new connection. Not persistent.
#pragma once

#include <optional>

#include "base/limits.h"
#include "base/time.h"

namespace godwit::client {

class Keepalive {
 public:
  // A connection begins; `at_once`: at the first try after the one before ended.
  void begin(bool at_once, Instant now);
  Duration interval() const { return interval_; }
  // A question asked after a silence of interval() was answered; was not, so the connection ends.
  void answered();
  void unanswered() { deadly_ = interval_; }

 private:
  Duration interval_ = limits::kPingInterval;
  Duration most_ = limits::kPingMost;
  Instant learned_;  // when most_ was
  std::optional<Duration> deadly_;  // the silence that the connection before ended with
};

}  // namespace godwit::client
