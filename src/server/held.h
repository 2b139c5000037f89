// Held: submits whose envelopes were pushed to every device of the recipient, and are not stored.
//
// Most devices that are connected acknowledge within milliseconds; what they acknowledge need never
// reach the store. So the rows of such a submit are kept here for a while, and its sender's answer
// with them: it is due when every device has acknowledged, or when the rest is stored.
//
// Invariants:
//   * no answer leaves while a row of its submit is neither acknowledged by its device nor stored:
//     there is no moment in which something that was accepted exists in memory only;
//   * a row is dropped for nothing but the acknowledgement of its own device.
// Bounded by the delivery windows of the devices.
#pragma once

#include <optional>
#include <vector>

#include "server/effects.h"

namespace godwit::server {

class Held {
 public:
  // `most`: how long something is held; zero: nothing is.
  explicit Held(Duration most) : most_(most) {}

  bool used() const { return most_ > Duration{}; }
  bool empty() const { return submits_.empty(); }

  // `rows` are puts of Mailbox; `asked` waits for its answer.
  void add(const Message& asked, ports::Batch rows, Instant now);
  // The device has stored everything up to `up_to`. Appends the answers that this makes due.
  void acknowledge(DeviceId device, Sequence up_to, Effects& out);
  // Gives up all rows, to be committed, and the answers that this commit gates.
  void take(ports::Batch& commit, Effects& answers);
  // What is held is lost: whoever waits repeats it.
  void refuse(Error error, Effects& out);

  // How long the oldest may still be held: zero when that is over, or the clock was set back.
  Duration left(Instant now) const;

 private:
  struct Submit {
    Message asked;  // without its body
    ports::Batch rows;
    Instant since;
  };

  Duration most_;
  std::vector<Submit> submits_;  // oldest first
};

}  // namespace godwit::server
