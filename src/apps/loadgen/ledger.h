// Ledger: what became of every message of a measurement, by number. Any thread.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <memory>

namespace godwit::loadgen {

class Ledger {
 public:
  // For messages 0 to `size` - 1, one octet each.
  explicit Ledger(std::uint32_t size)
      : fates_(std::make_unique<std::atomic<std::uint8_t>[]>(size)), size_(size) {}

  // A number for a message to send; nothing when all are used.
  bool next(std::uint32_t& number) {
    number = next_.fetch_add(1, std::memory_order_relaxed);
    return number < size_;
  }
  // True when it is whole now: accepted and delivered.
  bool accepted(std::uint32_t number) {
    return number < size_ && note(number, kAccepted) == kDelivered;
  }
  // False when it was delivered before.
  bool delivered(std::uint32_t number) {
    return number >= size_ || (note(number, kDelivered) & kDelivered) == 0;
  }
  bool is_whole(std::uint32_t number) const {
    return number < size_ && fates_[number] == (kAccepted | kDelivered);
  }

  struct Sum {
    std::uint64_t sent = 0;
    std::uint64_t accepted = 0;
    std::uint64_t delivered = 0;
    std::uint64_t lost = 0;  // accepted, and not delivered
  };
  Sum sum() const {
    Sum sum;
    sum.sent = std::min(next_.load(), size_);
    for (std::uint64_t i = 0; i < sum.sent; ++i) {
      const std::uint8_t fate = fates_[i];
      sum.accepted += (fate & kAccepted) != 0;
      sum.delivered += (fate & kDelivered) != 0;
      sum.lost += fate == kAccepted;
    }
    return sum;
  }

 private:
  static constexpr std::uint8_t kAccepted = 1, kDelivered = 2;
  std::uint8_t note(std::uint32_t number, std::uint8_t what) {
    return fates_[number].fetch_or(what, std::memory_order_relaxed);
  }

  std::unique_ptr<std::atomic<std::uint8_t>[]> fates_;
  std::uint32_t size_;
  std::atomic<std::uint32_t> next_ = 0;
};

}  // namespace godwit::loadgen
