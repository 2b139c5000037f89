// ServerLoop's connections: the preamble, the Noise handshake, records and frames.
#include <algorithm>

#include "base/check.h"
#include "base/limits.h"
#include "runtime/server_loop.h"

namespace godwit::runtime {

namespace {

constexpr std::size_t kLength = 2;
constexpr std::size_t kPreambleSize = proto::kPreamble.size() + 1;
constexpr std::size_t kMaxPlaintext =
    limits::kMaxNoiseMessage - proto::NoiseChannel::kOverhead;  // of one record

std::uint32_t whole_seconds(Duration uptime) {
  return static_cast<std::uint32_t>(uptime.ms / 1000);
}

}  // namespace

SessionId ServerLoop::session_of(io::Conn conn) const {
  return {(std::uint64_t{shard_id_.value} + 1) << 54 | std::uint64_t{conn.index} << 32 |
          conn.generation};
}

std::optional<io::Conn> ServerLoop::conn_of(SessionId session) const {
  if (session.value >> 54 != std::uint64_t{shard_id_.value} + 1) return std::nullopt;
  return io::Conn{static_cast<std::uint32_t>(session.value >> 32) & kMaxConnections,
                  static_cast<std::uint32_t>(session.value)};
}

Connection* ServerLoop::find(io::Conn conn) {
  if (conn.index >= connections_.size()) return nullptr;
  Connection& connection = connections_[conn.index];
  const bool present =
      connection.state != Connection::State::kFree && connection.generation == conn.generation;
  return present ? &connection : nullptr;
}

void ServerLoop::on_accepted(io::Conn conn) {
  connections_.grow(conn.index + 1);
  Connection& connection = connections_[conn.index];
  connection = {};
  connection.generation = conn.generation;
  connection.heard = whole_seconds(loop_->uptime());
  connection.state = Connection::State::kHandshake;
  if (shared_.connections++ >= shared_.max_connections) {
    return refuse(conn, connection, ConnectResult::kRefused);
  }
  handshakes_.push_back({loop_->uptime() + shared_.handshake_timeout, conn});
}

std::size_t ServerLoop::on_octets(io::Conn conn, ByteView octets) {
  Connection& connection = connections_[conn.index];
  connection.heard = whole_seconds(loop_->uptime());
  frames_left_ = limits::kFramesPerTurn;
  if (connection.state == Connection::State::kOpen && connection.busy != nullptr) {
    take_frames(conn, connection);  // those that an earlier turn left
  }
  std::size_t used = 0;
  while (connection.state == Connection::State::kHandshake ||
         connection.state == Connection::State::kOpen) {
    if (frames_left_ == 0) {
      hungry_.push_back(conn);
      tcp_.pause(conn);
      break;
    }
    const std::size_t step = consume(conn, connection, octets.subspan(used));
    if (step == 0) break;
    used += step;
  }
  const bool over = connection.state == Connection::State::kClosing;
  counts_.octets_in += over ? octets.size() : used;
  return over ? octets.size() : used;  // the rest is offered again
}

void ServerLoop::take_hungry() {
  for (const io::Conn conn : std::exchange(hungry_, {})) tcp_.resume(conn);
}

// Uses up the next whole thing, or nothing.
std::size_t ServerLoop::consume(io::Conn conn, Connection& connection, ByteView octets) {
  const bool handshake = connection.state == Connection::State::kHandshake;
  if (handshake && connection.busy == nullptr) return consume_preamble(conn, connection, octets);
  if (octets.size() < kLength) return 0;
  if (handshake && !connection.busy->waiting.empty()) return 0;
  const std::size_t size = get_be16(octets);
  if (handshake && size > limits::kMaxHandshake) {
    refuse(conn, connection, ConnectResult::kBadHandshake);
    return octets.size();
  }
  if (octets.size() < kLength + size) return 0;
  const ByteView message = octets.subspan(kLength, size);
  if (handshake) queue_handshake(conn, connection, message);
  else take_record(conn, connection, message);
  return kLength + size;
}

std::size_t ServerLoop::consume_preamble(io::Conn conn, Connection& connection, ByteView octets) {
  const ByteView known = proto::kPreamble;
  const std::size_t seen = std::min(octets.size(), known.size());
  if (!same(octets.first(seen), known.first(seen))) {  // as soon as it is wrong
    refuse(conn, connection, ConnectResult::kBadPreamble);
    return octets.size();
  }
  if (octets.size() < kPreambleSize) return 0;
  const ByteView prologue = octets.first(kPreambleSize);
  switch (static_cast<proto::Handshake>(prologue.back())) {
    case proto::Handshake::kXX:
      connection.work().handshake = proto::NoiseHandshake::responder_xx(shared_.key, prologue);
      return kPreambleSize;
    case proto::Handshake::kIK:
      connection.work().handshake = proto::NoiseHandshake::responder_ik(shared_.key, prologue);
      return kPreambleSize;
  }
  refuse(conn, connection, ConnectResult::kBadPreamble);
  return octets.size();
}

// Nothing more is read of it until then: who has no session yet gets no buffers.
void ServerLoop::queue_handshake(io::Conn conn, Connection& connection, ByteView message) {
  using Verdict = server::HandshakeQueue::Verdict;
  const auto remote = tcp_.remote(conn);
  if (!remote) return refuse(conn, connection, ConnectResult::kGone);
  if (message.empty()) return refuse(conn, connection, ConnectResult::kBadHandshake);
  switch (handshake_queue_.push(remote->network(), session_of(conn).value)) {
    case Verdict::kNetworkFull:
      ++counts_.shed_network;
      return refuse(conn, connection, ConnectResult::kShed);
    case Verdict::kFull:
      ++counts_.shed_handshakes;
      return refuse(conn, connection, ConnectResult::kShed);
    case Verdict::kWaits: break;
  }
  connection.work().waiting = to_bytes(message);
  tcp_.pause(conn);
}

// Those whose connection is gone cost nothing and do not count.
void ServerLoop::take_handshakes() {
  for (std::uint32_t taken = 0; taken < limits::kHandshakesPerTurn;) {
    const auto ticket = handshake_queue_.pop();
    if (!ticket) return;
    const io::Conn conn = *conn_of({*ticket});
    Connection* connection = find(conn);
    if (connection == nullptr || connection->state != Connection::State::kHandshake) continue;
    ++taken;
    const Bytes message = std::exchange(connection->busy->waiting, {});
    take_handshake(conn, *connection, message);
    tcp_.resume(conn);
  }
  if (!handshake_queue_.empty()) loop_->post([] {});  // a turn for the others, then on
}

void ServerLoop::take_handshake(io::Conn conn, Connection& connection, ByteView message) {
  proto::NoiseHandshake& handshake = *connection.busy->handshake;
  // Payloads are not used: before the last message they are not fresh (IK) or not private (XX).
  if (!handshake.read(message)) return refuse(conn, connection, ConnectResult::kBadHandshake);
  if (!handshake.finished()) {
    const auto answer = handshake.write({}, entropy_);
    if (!answer) return refuse(conn, connection, ConnectResult::kBadHandshake);
    wire_.clear();
    put_be16(wire_, static_cast<std::uint16_t>(answer->size()));
    append(wire_, *answer);
    counts_.octets_out += wire_.size();
    tcp_.send(conn, wire_);
  }
  if (handshake.finished()) open(conn, connection);
}

void ServerLoop::open(io::Conn conn, Connection& connection) {
  const auto peer = connection.busy->handshake->remote_static();
  connection.channel.emplace(connection.busy->handshake->split());
  connection.busy->handshake.reset();
  connection.state = Connection::State::kOpen;
  connection.told = true;
  connection.rest();
  ++counts_.connects[static_cast<std::size_t>(ConnectResult::kOk)];
  tell([&](Env& env) { shard_.on_open(session_of(conn), *peer, env, outputs_); });
}

void ServerLoop::take_record(io::Conn conn, Connection& connection, ByteView record) {
  CHECK(ours_);
  auto plaintext = connection.channel->open(record);
  if (!plaintext) return end(conn, connection, EndReason::kBadRecord);
  proto::FrameReader& reader = connection.work().reader;
  if (!reader.feed(std::move(*plaintext))) return end(conn, connection, EndReason::kBadFrame);
  take_frames(conn, connection);
}

void ServerLoop::take_frames(io::Conn conn, Connection& connection) {
  while (connection.state == Connection::State::kOpen && frames_left_ > 0) {
    auto frame = connection.work().reader.next();
    if (!frame) return end(conn, connection, EndReason::kBadFrame);
    if (!*frame) break;
    --frames_left_;
    ++counts_.frames_in;
    tell([&](Env& env) { shard_.on_frame(session_of(conn), std::move(**frame), env, outputs_); });
  }
  connection.rest();
}

// The handshake failed: says nothing to a peer that is not known, and goes.
void ServerLoop::refuse(io::Conn conn, Connection& connection, ConnectResult result) {
  ++counts_.connects[static_cast<std::size_t>(result)];
  connection.state = Connection::State::kClosing;
  connection.told = false;
  tcp_.abort(conn);
}

// The connection cannot go on. Nothing more is taken from it; what waits for it is lost.
void ServerLoop::end(io::Conn conn, Connection& connection, EndReason reason) {
  connection.reason = reason;
  connection.state = Connection::State::kClosing;
  tcp_.abort(conn);
}

bool ServerLoop::seal(Connection& connection, ByteView plaintext) {
  CHECK(ours_);
  put_be16(wire_, static_cast<std::uint16_t>(plaintext.size() + proto::NoiseChannel::kOverhead));
  return connection.channel->seal(plaintext, wire_).has_value();
}

// Sends the frames of this turn in as few records as they fit into.
void ServerLoop::flush(io::Conn conn, Connection& connection) {
  wire_.clear();
  plain_.clear();
  bool sealed = true;
  for (const SharedBytes& frame : connection.busy->unsent) {
    for (ByteView rest = *frame; !rest.empty();) {
      const std::size_t part = std::min(rest.size(), kMaxPlaintext - plain_.size());
      append(plain_, rest.first(part));
      rest = rest.subspan(part);
      if (plain_.size() == kMaxPlaintext) {
        sealed = sealed && seal(connection, plain_);
        plain_.clear();
      }
    }
  }
  if (!plain_.empty()) sealed = sealed && seal(connection, plain_);
  counts_.frames_out += connection.busy->unsent.size();
  connection.busy->unsent.clear();
  if (!sealed) return end(conn, connection, EndReason::kRekey);
  counts_.octets_out += wire_.size();
  tcp_.send(conn, wire_);
}

}  // namespace godwit::runtime
