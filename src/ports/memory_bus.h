// MemoryBus: the Bus of tests and of the simulator: a queue to take from, with faults on demand.
//
// Deterministic: which messages are lost, doubled or overtaken is drawn from the Entropy it is
// given. For one thread.
#pragma once

#include <deque>
#include <optional>
#include <utility>

#include "base/entropy.h"
#include "base/limits.h"
#include "ports/bus.h"

namespace godwit::ports {

class MemoryBus final : public Bus {
 public:
  struct Message {
    ShardId to;
    Bytes octets;
  };
  // Chances in a thousand, for each message published.
  struct Faults {
    std::uint32_t loss = 0;
    std::uint32_t duplication = 0;
    std::uint32_t reordering = 0;
  };

  MemoryBus() = default;
  MemoryBus(Entropy& entropy, Faults faults) : entropy_(&entropy), faults_(faults) {}

  void publish(ShardId to, Bytes message) override {
    if (happens(faults_.loss)) return;
    if (happens(faults_.duplication)) push({to, message});
    push({to, std::move(message)});
  }

  // The next message to hand over, nullopt when there is none.
  std::optional<Message> take() {
    if (queue_.empty()) return std::nullopt;
    Message message = std::move(queue_.front());
    queue_.pop_front();
    return message;
  }
  std::size_t size() const { return queue_.size(); }

 private:
  bool happens(std::uint32_t per_mille) {
    return per_mille != 0 && entropy_->below(1000) < per_mille;
  }
  void push(Message message) {
    if (queue_.size() >= limits::kBusQueue) return;
    queue_.push_back(std::move(message));
    if (!happens(faults_.reordering)) return;
    const auto other = static_cast<std::size_t>(entropy_->below(queue_.size()));
    std::swap(queue_.back(), queue_[other]);
  }

  Entropy* entropy_ = nullptr;  // needed only for faults
  Faults faults_;
  std::deque<Message> queue_;
};

}  // namespace godwit::ports
