#include "runtime/server_link.h"

#include <utility>

#include "base/check.h"

namespace godwit::runtime {
namespace {

constexpr std::size_t kPrefix = 2;  // u16 big-endian length of a record
constexpr std::size_t kMaxPlain = limits::kMaxNoiseMessage - proto::NoiseChannel::kOverhead;

}  // namespace

ServerLink::ServerLink(io::Loop& loop, Entropy& entropy, Owner& owner)
    : loop_(loop), entropy_(entropy), owner_(owner), tcp_(loop, *this) {}

void ServerLink::open(const std::string& host_and_port, const crypto::KeyPair& own,
                      const std::optional<crypto::CurvePoint>& pinned) {
  CHECK(down());
  own_ = own.clone();
  pinned_ = pinned;
  state_ = State::kConnecting;
  auto addresses = io::Address::resolve(host_and_port);
  if (!addresses) {
    fail_link(LinkFault::kUnreachable, std::string(addresses.error().text));
    return;
  }
  addresses_ = std::move(*addresses);
  next_address_ = 0;
  ask_key_ = false;
  try_next_address();
}

void ServerLink::try_next_address() {
  while (next_address_ < addresses_.size()) {
    const auto conn = tcp_.connect(addresses_[next_address_++], limits::kHandshakeTimeout);
    if (!conn) continue;
    conn_ = *conn;
    state_ = State::kConnecting;
    return;
  }
  fail_link(LinkFault::kUnreachable, "nothing answers at the server's address");
}

void ServerLink::on_connected(io::Conn conn) {
  if (conn != conn_ || state_ != State::kConnecting) return;
  state_ = State::kHandshake;
  timer_ = loop_.after(limits::kHandshakeTimeout, [this] {
    timer_ = 0;
    fail_link(LinkFault::kUnreachable, "the server does not answer");
  });
  begin_handshake();
}

void ServerLink::begin_handshake() {
  ik_ = pinned_.has_value() && !ask_key_;
  Bytes prologue(proto::kPreamble.begin(), proto::kPreamble.end());
  prologue.push_back(
      static_cast<std::uint8_t>(ik_ ? proto::Handshake::kIK : proto::Handshake::kXX));
  handshake_ = ik_ ? proto::NoiseHandshake::initiator_ik(own_, *pinned_, prologue)
                   : proto::NoiseHandshake::initiator_xx(own_, prologue);
  append(wire_, prologue);
  write_handshake();
}

void ServerLink::write_handshake() {
  const auto message = handshake_->write({}, entropy_);
  if (!message) {
    fail_link(LinkFault::kProtocol, "the server's handshake is not valid");
    return;
  }
  put_record(*message);
  tcp_.send(conn_, wire_);
  wire_.clear();
}

void ServerLink::put_record(ByteView record) {
  put_be16(wire_, static_cast<std::uint16_t>(record.size()));
  append(wire_, record);
}

std::size_t ServerLink::on_octets(io::Conn conn, ByteView octets) {
  std::size_t used = 0;
  while (conn == conn_ && (state_ == State::kHandshake || state_ == State::kUp)) {
    const ByteView rest = octets.subspan(used);
    if (rest.size() < kPrefix || rest.size() < kPrefix + get_be16(rest)) return used;
    const std::size_t size = get_be16(rest);
    on_record(rest.subspan(kPrefix, size));
    used += kPrefix + size;
  }
  return octets.size();
}

void ServerLink::on_record(ByteView record) {
  if (state_ == State::kHandshake) {
    on_handshake(record);
    return;
  }
  const auto plain = channel_->open(record);
  if (!plain || !reader_.feed(*plain)) {
    fail_link(LinkFault::kProtocol, "the connection was damaged on its way");
    return;
  }
  while (state_ == State::kUp) {
    auto frame = reader_.next();
    if (!frame) {
      fail_link(LinkFault::kProtocol, "the server sent a malformed frame");
      return;
    }
    if (!*frame) return;
    owner_.on_link_frame(std::move(**frame));
  }
}

void ServerLink::on_handshake(ByteView record) {
  if (!handshake_->read(record)) {
    if (ik_) ask_for_key();
    else fail_link(LinkFault::kProtocol, "the server's handshake is not valid");
    return;
  }
  const auto server = handshake_->remote_static();
  if (server && pinned_ && *server != *pinned_) {
    fail_link(LinkFault::kServerKey,
              "the server's key changed: it was set up anew, or somebody is in between");
    return;
  }
  if (handshake_->my_turn()) write_handshake();
  if (state_ == State::kHandshake && handshake_->finished()) finish_handshake();
}

// A server that cannot read our first IK message just hangs up.
void ServerLink::ask_for_key() {
  ask_key_ = true;
  loop_.cancel(std::exchange(timer_, 0));
  tcp_.abort(std::exchange(conn_, {}));
  handshake_.reset();
  --next_address_;
  try_next_address();
}

void ServerLink::finish_handshake() {
  loop_.cancel(std::exchange(timer_, 0));
  const crypto::CurvePoint server = *handshake_->remote_static();
  channel_ = handshake_->split();
  handshake_.reset();
  state_ = State::kUp;
  owner_.on_link_up(server);
}

void ServerLink::send(const proto::Frame& frame) {
  if (up()) proto::put_frame(stream_, frame);
}

void ServerLink::flush() {
  if (!up() || stream_.empty()) return;
  ByteView rest = stream_;
  while (!rest.empty()) {
    const ByteView piece = rest.first(std::min(rest.size(), kMaxPlain));
    put_be16(wire_, static_cast<std::uint16_t>(piece.size() + proto::NoiseChannel::kOverhead));
    if (!channel_->seal(piece, wire_)) {
      fail_link(LinkFault::kUnreachable, "the connection served long enough: connecting anew");
      return;
    }
    rest = rest.subspan(piece.size());
  }
  tcp_.send(conn_, wire_);
  wire_.clear();
  stream_.clear();
}

void ServerLink::close() {
  if (!down()) fail_link(LinkFault::kNone, "");
}

void ServerLink::on_closed(io::Conn conn, io::CloseReason reason) {
  if (conn != conn_ || down()) return;
  switch (state_) {
    case State::kConnecting: try_next_address(); return;
    case State::kHandshake:
      if (ik_) {
        ask_for_key();
        return;
      }
      fail_link(LinkFault::kProtocol, "the server ended the handshake");
      return;
    default:
      fail_link(LinkFault::kUnreachable, reason == io::CloseReason::kSlowReader
                                             ? "the server is too slow"
                                             : "the server ended the connection");
  }
}

void ServerLink::fail_link(LinkFault fault, std::string reason) {
  if (down()) return;
  loop_.cancel(std::exchange(timer_, 0));
  const bool flushing = state_ == State::kUp && fault == LinkFault::kNone;
  state_ = State::kDown;
  if (flushing) tcp_.close(conn_);
  else tcp_.abort(conn_);
  conn_ = {};
  handshake_.reset();
  channel_.reset();
  reader_ = {};
  stream_.clear();
  wire_.clear();
  owner_.on_link_down(fault, std::move(reason));
}

}  // namespace godwit::runtime
