// Phone: one connection of the crowd. Idle ones are most of them, so an idle one is this and no
// more.
#pragma once

#include <memory>
#include <optional>

#include "base/id.h"
#include "proto/frame.h"
#include "proto/noise.h"

namespace godwit::loadgen {

struct Phone {
  enum class State : std::uint8_t {
    kFree,
    kConnecting,
    kHandshake,
    kAsking,       // for a verification code
    kRegistering,  // with it
    kAttaching,
    kAttached,
  };
  // Only while there is something in it.
  struct Busy {
    std::optional<proto::NoiseHandshake> handshake;
    proto::FrameReader reader;
  };

  std::optional<proto::NoiseChannel> channel;
  std::unique_ptr<Busy> busy;
  Sequence seen;  // delivered up to here
  std::uint32_t user = 0;
  std::uint32_t generation = 0;  // of its io::Conn
  State state = State::kFree;
  std::uint8_t registered = 0;  // users, on this connection

  Busy& work() {
    if (busy == nullptr) busy = std::make_unique<Busy>();
    return *busy;
  }
};
static_assert(sizeof(Phone) <= 120, "two million of them share a machine with their server");

}  // namespace godwit::loadgen
