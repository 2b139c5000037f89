#include "server/handshake_queue.h"

#include "base/limits.h"

namespace godwit::server {

HandshakeQueue::Verdict HandshakeQueue::push(std::uint64_t network, std::uint64_t ticket) {
  if (size_ >= limits::kHandshakesWaiting) return Verdict::kFull;
  Fifo<std::uint64_t>& own = waiting_[network];
  if (own.size() >= limits::kHandshakesPerNetwork) return Verdict::kNetworkFull;
  own.push_back(ticket);
  ++size_;
  return Verdict::kWaits;
}

std::optional<std::uint64_t> HandshakeQueue::pop() {
  if (waiting_.empty()) return std::nullopt;
  auto next = waiting_.upper_bound(last_);
  if (next == waiting_.end()) next = waiting_.begin();
  last_ = next->first;
  const std::uint64_t ticket = next->second.front();
  next->second.pop_front();
  if (next->second.empty()) waiting_.erase(next);
  --size_;
  return ticket;
}

}  // namespace godwit::server
