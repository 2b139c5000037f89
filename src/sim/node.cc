#include "sim/node.h"

#include <utility>

namespace godwit::sim {

Node::Node(Life& life, std::uint16_t shards, PeerOf peer_of, CodeSent code_sent)
    : life_(life),
      shard_count_(shards),
      peer_of_(std::move(peer_of)),
      code_sent_(std::move(code_sent)),
      entropy_(life.luck.next()),
      disk_(life.timeline, life.luck),
      tap_(life, disk_.rows()) {
  life.net.attach_server(*this);
}

Node::~Node() = default;

void Node::start() {
  life_.note("server", "starts", ++incarnation_);
  placement_ = std::make_unique<server::Placement>(shard_count_, incarnation_);
  certifier_ = std::make_unique<server::Certifier>(crypto::Key(ByteArray<32>{0x5b}), entropy_);
  for (std::uint16_t i = 0; i < shard_count_; ++i) {
    server::ShardConfig config;
    config.id = {i};
    config.placement = placement_.get();
    config.pepper.fill(0x5a);
    config.write_behind = write_behind_;
    if (certifies_) config.certifier = certifier_.get();
    shards_.push_back(std::make_unique<server::Shard>(config));
  }
  next_session_ = 1;
  stopping_ = false;
  for (std::size_t i = 0; i < shards_.size(); ++i) tick(i);
}

void Node::kill() {
  if (!running()) return;
  life_.fault("server", "dies", incarnation_);
  for (const auto& [id, place] : places_) tap_.closed(id);
  shards_.clear();
  places_.clear();
  connections_.clear();
  bus_messages_ = 0;
  outputs_to_live_ = 0;
  disk_.crash();
  life_.net.server_gone();
}

void Node::stop(std::function<void()> stopped) {
  if (!running() || stopping_) return;
  life_.note("server", "stops", incarnation_);
  stopping_ = true;
  for (std::size_t i = 0; i < shards_.size(); ++i) {
    tell(i, [](server::Shard& shard, Env& env, server::Outputs& out) { shard.drain(env, out); });
    if (!running()) return;
  }
  life_.timeline.in(seconds(2), [this, incarnation = incarnation_, stopped = std::move(stopped)] {
    if (incarnation != incarnation_ || !running()) return;
    kill();
    stopped();
  });
}

void Node::kill_after(std::uint32_t outputs, std::function<void()> killed) {
  outputs_to_live_ = outputs;
  killed_ = std::move(killed);
}

std::uint64_t Node::stored_envelopes() {
  std::uint64_t stored = 0;
  for (const auto space : {ports::Space::kQueue, ports::Space::kFanout}) {
    disk_.rows().each(space, [&](ByteView, ByteView, ByteView, Instant) { ++stored; });
  }
  return stored;
}

server::Counters Node::counters() const {
  server::Counters sum;
  for (const auto& shard : shards_) {
    const server::Counters& one = shard->counters();
    sum.accepted += one.accepted;
    sum.delivered += one.delivered;
    sum.acknowledged += one.acknowledged;
    sum.commits += one.commits;
    sum.commit_failures += one.commit_failures;
  }
  return sum;
}

template <typename Tell>
void Node::tell(std::size_t shard, Tell what) {
  Env env{life_.timeline.now(), entropy_};
  server::Outputs out;
  what(*shards_[shard], env, out);
  perform(shard, std::move(out));
}

template <typename Tell>
void Node::tell_later(Duration delay, std::size_t shard, Tell what) {
  life_.timeline.in(delay, [this, shard, incarnation = incarnation_, what = std::move(what)] {
    if (incarnation == incarnation_ && running()) tell(shard, what);
  });
}

void Node::perform(std::size_t shard, server::Outputs outputs) {
  for (server::Output& output : outputs) {
    if (outputs_to_live_ != 0 && --outputs_to_live_ == 0) {
      kill();
      std::exchange(killed_, {})();
      return;
    }
    std::visit([&](auto& one) { perform(shard, std::move(one)); }, output);
  }
}

void Node::perform(std::size_t shard, server::Write write) {
  life_.checkers.no_plaintext.row(write.batch, life_.verdict);
  check_bounded_retention(write.batch, life_.timeline.now(), life_.verdict);
  disk_.write(static_cast<std::uint32_t>(shard), std::move(write.batch),
              [this, shard, token = write.token](Result<void> result) {
                life_.note("server", result ? "wrote" : "could not write", token);
                tell(shard, [&](server::Shard& to, Env& env, server::Outputs& out) {
                  to.on_written(token, result, env, out);
                });
              });
}

void Node::perform(std::size_t shard, server::Read read) {
  disk_.read(static_cast<std::uint32_t>(shard), std::move(read.scan),
             [this, shard, token = read.token](Result<std::vector<ports::Row>> rows) {
               life_.note("server", "read", token);
               tell(shard, [&](server::Shard& to, Env& env, server::Outputs& out) {
                 to.on_read(token, std::move(rows), env, out);
               });
             });
}

void Node::perform(std::size_t, server::Send send) {
  const auto at = connections_.find(send.session);
  if (at == connections_.end()) return;
  proto::FrameReader reader;
  if (reader.feed(*send.frame)) {
    if (auto frame = reader.next(); frame && *frame) {
      tap_.to_client(at->second, **frame);
      if (damage(**frame)) {
        Bytes stream;
        proto::put_frame(stream, **frame);
        send.frame = share(std::move(stream));
      }
    }
  }
  life_.net.to_client(at->second, send.frame);
}

// A server that is not what it should be turns a bit here and there.
bool Node::damage(proto::Frame& frame) {
  if (weather_.damage == 0 || frame.kind != proto::Kind::kDeliver) return false;
  auto deliver = decode<proto::Deliver>(frame.body);
  if (!deliver) return false;
  bool any = false;
  for (proto::Delivery& delivery : deliver->deliveries) {
    Bytes& octets = delivery.envelope.ciphertext;
    if (octets.empty() || !chance(life_.luck, weather_.damage)) continue;
    octets[life_.luck.below(octets.size())] ^= static_cast<std::uint8_t>(1u << life_.luck.below(8));
    life_.injury("server", "damages", delivery.sequence.value);
    life_.damaged = true;
    life_.checkers.sender_order.damaged();
    const bool plain = delivery.envelope.type == proto::CiphertextType::kPlain;
    life_.asking_damaged = life_.asking_damaged || plain;
    any = true;
  }
  if (any) frame.body = encode(*deliver);
  return any;
}

void Node::perform(std::size_t, server::Close close) {
  const auto at = connections_.find(close.session);
  if (at != connections_.end()) life_.net.close(at->second, Net::End::kServer);
}

void Node::perform(std::size_t, server::Publish publish) {
  life_.note("bus", "message", publish.to.value, publish.message);
  life_.checkers.no_plaintext.octets(publish.message, life_.verdict);
  if (chance(life_.luck, weather_.bus_loss)) return life_.fault("bus", "loses");
  if (chance(life_.luck, weather_.bus_duplication)) {
    life_.fault("bus", "doubles");
    carry(publish);
  }
  carry(std::move(publish));
}

void Node::carry(server::Publish publish) {
  const Duration delay = between(life_.luck, Duration{}, weather_.bus_slowest);
  ++bus_messages_;
  tell_later(delay, publish.to.value,
             [this, octets = share(std::move(publish.message))](server::Shard& to, Env& env,
                                                                server::Outputs& out) {
               --bus_messages_;
               to.on_bus(*octets, env, out);
             });
}

void Node::perform(std::size_t shard, server::SendCode code) {
  const bool sent = !chance(life_.luck, weather_.gateway_failing);
  if (sent && !chance(life_.luck, weather_.code_lost)) {
    life_.timeline.in(
        between(life_.luck, seconds(1), seconds(3)),
        [this, phone = code.phone, digits = code.code] { code_sent_(phone, digits); });
  }
  tell_later(between(life_.luck, milliseconds(1), seconds(1)), shard,
             [sent, token = code.token](server::Shard& to, Env& env, server::Outputs& out) {
               Result<void> result;
               if (!sent) result = fail(Code::kUnavailable, "the gateway is away: try again");
               to.on_code_sent(token, result, env, out);
             });
}

void Node::perform(std::size_t shard, server::Timer timer) {
  tell_later(timer.after, shard,
             [](server::Shard& to, Env& env, server::Outputs& out) { to.on_timer(env, out); });
}

void Node::tick(std::size_t shard) {
  tell_later(tick_, shard, [this, shard](server::Shard& to, Env& env, server::Outputs& out) {
    disk_.rows().set_now(env.now);
    to.on_tick(env, out);
    tick(shard);
  });
}

void Node::opened(ConnectionId id, DeviceIndex from, bool nameless) {
  const ByteArray<32> peer = nameless ? entropy_.draw<32>() : peer_of_(from);
  const Place place{static_cast<std::size_t>(life_.luck.below(shards_.size())), {next_session_++}};
  places_[id] = place;
  connections_[place.session] = id;
  tap_.opened(id, peer);
  tell(place.shard, [&](server::Shard& shard, Env& env, server::Outputs& out) {
    shard.on_open(place.session, peer, env, out);
  });
}

void Node::received(ConnectionId id, proto::Frame frame) {
  const auto at = places_.find(id);
  if (at == places_.end()) return;
  const Place place = at->second;
  tap_.to_server(id, frame);
  tell(place.shard, [&](server::Shard& shard, Env& env, server::Outputs& out) {
    shard.on_frame(place.session, std::move(frame), env, out);
  });
}

void Node::closed(ConnectionId id) {
  const auto at = places_.find(id);
  if (at == places_.end()) return;
  const Place place = at->second;
  places_.erase(at);
  connections_.erase(place.session);
  tap_.closed(id);
  tell(place.shard, [&](server::Shard& shard, Env& env, server::Outputs& out) {
    shard.on_closed(place.session, env, out);
  });
}

}  // namespace godwit::sim
