// DeliveryWindow: which of a sender's contents have been seen, by the sender's own count.
//
// A sender that lost the answer to a submission, or crashed, encrypts and sends again under the
// same number; this is what tells the repetition from news, after every ratchet and server in
// between has forgotten. Gaps show here too: a number that never came.
//
// Bounded: remembers limits::kMissingNumbers gaps of the present stream and of the one before.
#pragma once

#include <vector>

#include "base/codec.h"
#include "base/limits.h"

namespace godwit::client {

class DeliveryWindow {
 public:
  enum class Seen { kNew, kLate, kDuplicate };  // kLate: fills a gap

  // Tells what (stream, number) is and remembers it. Numbers start at 1; 0 is a duplicate.
  Seen accept(std::uint32_t stream, std::uint64_t number);
  // Numbers of the present stream that were passed over and have not come since.
  const std::vector<std::uint64_t>& missing() const { return present_.missing; }

  static void fields(auto& m, auto& field) {
    field(1, m.present_);
    field(2, m.before_);
  }

 private:
  struct Stream {
    std::uint32_t id = 0;
    std::uint64_t highest = 0;
    std::vector<std::uint64_t> missing;  // ascending; the oldest are given up first

    Seen accept(std::uint64_t number);
    static void fields(auto& m, auto& field) {
      field(1, m.id);
      field(2, m.highest);
      field(3, m.missing, limits::kMissingNumbers);
    }
  };
  Stream present_;
  Stream before_;
};

}  // namespace godwit::client
