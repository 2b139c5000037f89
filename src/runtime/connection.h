// Connection: what a server holds for one client's TCP connection. Idle ones are most of them, so
// an idle one is this struct and no more: no buffer, no timer, no cipher context.
#pragma once

#include <array>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "proto/frame.h"
#include "proto/noise.h"

namespace godwit::runtime {

// How a connection's beginning went. Labels of a metric, see kConnectResults.
enum class ConnectResult : std::uint8_t {
  kOk,
  kBadPreamble,   // another protocol, or another version of ours
  kBadHandshake,  // does not verify
  kTimeout,
  kGone,  // the client left before it was done
  kRefused,
  kShed,  // too many handshakes wait
};
inline constexpr std::array<std::string_view, 7> kConnectResults = {
    "ok", "bad_preamble", "bad_handshake", "timeout", "gone", "refused", "shed"};

// Why a connection ended after its handshake. Labels of a metric, see kEndReasons.
enum class EndReason : std::uint8_t {
  kClient,      // the client closed it
  kServer,      // the shard closed it, or the server stopped
  kIdle,        // nothing heard for limits::kIdleTimeout
  kSlowReader,  // the client does not read what it is sent
  kBadRecord,   // a Noise record that does not verify
  kBadFrame,    // malformed or too large
  kBroken,      // the network
  kRekey,       // the Noise keys have sealed all they may
};
inline constexpr std::array<std::string_view, 8> kEndReasons = {
    "client", "server", "idle", "slow_reader", "bad_record", "bad_frame", "broken", "rekey"};

struct Connection {
  enum class State : std::uint8_t { kFree, kHandshake, kOpen, kClosing };

  // Only while there is something in it.
  struct Busy {
    std::optional<proto::NoiseHandshake> handshake;
    Bytes waiting;  // a message of the handshake, until it is its turn
    proto::FrameReader reader;
    std::vector<SharedBytes> unsent;  // frames of this turn
  };

  std::optional<proto::NoiseChannel> channel;
  std::unique_ptr<Busy> busy;
  std::uint32_t generation = 0;  // of io::Conn
  std::uint32_t heard = 0;       // uptime in seconds
  State state = State::kFree;
  bool told = false;   // the shard knows of it
  bool dirty = false;  // has something to do at the end of the turn
  bool late = false;   // is in ServerLoop::late_
  EndReason reason = EndReason::kClient;

  Busy& work() {
    if (busy == nullptr) busy = std::make_unique<Busy>();
    return *busy;
  }
  void rest() {
    if (busy != nullptr && !busy->handshake && busy->reader.idle() && busy->unsent.empty()) {
      busy.reset();
    }
  }
};
static_assert(sizeof(Connection) <= 112, "two million of them are idle at a time");

}  // namespace godwit::runtime
