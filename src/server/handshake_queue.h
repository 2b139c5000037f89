// HandshakeQueue: handshakes that wait for their turn, so that a flood of them costs those who are
// connected a bounded share of each turn of their loop.
//
// Networks (a /24 of IPv4, a /56 of IPv6) take turns, whatever each of them asks for, and the
// queue is bounded for each and in all: what does not fit is refused at once, before it costs a
// multiplication. It knows no address, no clock and no key, only numbers for them.
//
// Invariant: it holds no network that has nothing waiting. One thread.
#pragma once

#include <cstdint>
#include <map>
#include <optional>

#include "server/fifo.h"

namespace godwit::server {

class HandshakeQueue {
 public:
  enum class Verdict : std::uint8_t { kWaits, kNetworkFull, kFull };

  // `ticket` is the caller's. Bounds: limits::kHandshakesWaiting and kHandshakesPerNetwork.
  Verdict push(std::uint64_t network, std::uint64_t ticket);
  // The oldest of the next network.
  std::optional<std::uint64_t> pop();
  bool empty() const { return size_ == 0; }

 private:
  std::map<std::uint64_t, Fifo<std::uint64_t>> waiting_;  // by network
  std::uint64_t last_ = 0;  // network served last
  std::size_t size_ = 0;
};

}  // namespace godwit::server
