// For tests only: shards over one store, with the faults of a test, and people who attach to them.
#pragma once

#include <gtest/gtest.h>

#include <deque>
#include <map>
#include <optional>
#include <set>

#include "ports/memory_store.h"
#include "proto/frame.h"
#include "server/shard.h"

namespace godwit::server {

using proto::Frame;
using proto::Kind;

// Shards over one store, performing outputs one at a time in order, with the faults of a test.
class Node {
 public:
  explicit Node(std::uint16_t shards) : placement_(shards, 1) { start(shards); }

  void restart() {
    const auto shards = placement_.shards();
    placement_ = Placement(shards, ++incarnation_);
    shards_.clear();
    work_.clear();
    sessions_.clear();
    start(shards);
  }
  // Other shards go on with the same connections.
  void hand_over() {
    placement_ = Placement(placement_.shards(), ++incarnation_);
    for (std::uint16_t i = 0; i < shards_.size(); ++i) {
      Bytes record;
      shards_[i]->hand_over(record);
      shards_[i] =
          std::make_unique<Shard>(ShardConfig{{i}, &placement_, {}, write_behind, &certifier_});
      ASSERT_TRUE(shards_[i]->take_over(record));
      call(i, [](Shard& shard, Env& env, Outputs& out) { shard.wake(env, out); });
    }
    run();
  }
  // Opens a connection on some shard.
  SessionId open(const PeerKey& peer) {
    const SessionId session{++last_session_};
    at(session,
       [&](Shard& shard, Env& env, Outputs& out) { shard.on_open(session, peer, env, out); });
    return session;
  }
  void close(SessionId session) {
    at(session, [&](Shard& shard, Env& env, Outputs& out) { shard.on_closed(session, env, out); });
    run();
  }
  // Takes a frame in; what follows from it waits for run().
  template <typename Body>
  std::uint64_t post(SessionId session, Kind kind, const Body& body) {
    const bool notice = kind == Kind::kAck || kind == Kind::kHint;
    Frame frame = proto::make_frame(kind, notice ? 0 : ++last_request_, body);
    at(session, [&](Shard& shard, Env& env, Outputs& out) {
      shard.on_frame(session, std::move(frame), env, out);
    });
    return last_request_;
  }
  template <typename Body>
  std::uint64_t send(SessionId session, Kind kind, const Body& body) {
    const auto request = post(session, kind, body);
    run();
    return request;
  }
  // The answer to a request of this session; to its last one.
  Frame answer(SessionId session) { return answer(session, last_request_); }
  Frame answer(SessionId session, std::uint64_t request) {
    for (const Frame& frame : frames(session)) {
      if (frame.id == request) return frame;
    }
    ADD_FAILURE() << "no answer";
    return {};
  }
  template <typename Body, typename Asked>
  Body ask(SessionId session, Kind kind, const Asked& body) {
    send(session, kind, body);
    const Frame frame = answer(session);
    EXPECT_EQ(frame.kind, Kind::kOk);
    return decode<Body>(frame.body).value_or(Body{});
  }
  template <typename Asked>
  proto::ErrorBody refused(SessionId session, Kind kind, const Asked& body) {
    send(session, kind, body);
    const Frame frame = answer(session);
    EXPECT_EQ(frame.kind, Kind::kError);
    return decode<proto::ErrorBody>(frame.body).value_or(proto::ErrorBody{});
  }
  std::vector<Frame>& frames(SessionId session) { return sessions_[session].frames; }
  bool closed(SessionId session) { return sessions_[session].closed; }
  std::vector<proto::Delivery> deliveries(SessionId session) {
    std::vector<proto::Delivery> out;
    for (const Frame& frame : frames(session)) {
      if (frame.kind != Kind::kDeliver) continue;
      const auto pushed = decode<proto::Deliver>(frame.body).value_or(proto::Deliver{});
      out.insert(out.end(), pushed.deliveries.begin(), pushed.deliveries.end());
    }
    return out;
  }
  // Clients wait to be heard by a shard, or do so no more and did not for a while; by all shards.
  void set_behind(std::size_t shard, bool behind) {
    const int intervals = behind ? 7 : 1000;
    for (int i = 0; i < intervals; ++i) {
      shards_[shard]->observe_delay(1, behind ? seconds(1) : Duration{});
    }
  }
  void set_behind(bool behind) {
    for (std::size_t i = 0; i < shards_.size(); ++i) set_behind(i, behind);
  }
  std::size_t shard_of(SessionId session) const { return session.value % shards_.size(); }
  std::size_t shard_of(UserId user) const { return placement_.owner(slot_of(user.octets)).value; }
  void pass(Duration time) {
    now = now + time;
    for (std::size_t i = 0; i < shards_.size(); ++i) {
      call(i, [](Shard& shard, Env& env, Outputs& out) { shard.on_tick(env, out); });
    }
    run();
  }
  // Fires the timers that are set, each `early` before its time; how many there were.
  std::size_t fire_timers(Duration early = {}) {
    const auto fired = std::exchange(timers_, {});
    for (const auto& [shard, after] : fired) {
      now = now + Duration{after.ms - early.ms};
      call(shard, [](Shard& s, Env& env, Outputs& out) { s.on_timer(env, out); });
    }
    run();
    return fired.size();
  }
  Counters counters() const {
    Counters sum;
    for (const auto& shard : shards_) {
      sum.entities += shard->counters().entities;
      sum.sleeping += shard->counters().sleeping;
      sum.overloaded += shard->counters().overloaded;
    }
    return sum;
  }
  std::uint64_t envelopes() { return store.count(ports::Space::kQueue).value(); }

  void run() {
    while (!work_.empty()) {
      auto [shard, output] = std::move(work_.front());
      work_.pop_front();
      std::visit([&](auto& o) { perform(shard, o); }, output);
    }
  }

  ports::MemoryStore store;
  std::string code;  // the last that was sent
  bool fail_writes = false;
  Duration write_takes;
  Duration write_behind;  // from the next restart() on
  int reads = 0;
  bool duplicate_bus = false;
  std::uint32_t lose_bus = 0;  // every so many-th message
  std::optional<Verb> lose_verb;  // on the bus
  Instant now{1'000'000};
  const Certifier& certifier() const { return certifier_; }

 private:
  struct Connection {
    std::vector<Frame> frames;
    bool closed = false;
  };
  void start(std::uint16_t shards) {
    for (std::uint16_t i = 0; i < shards; ++i) {
      shards_.push_back(
          std::make_unique<Shard>(ShardConfig{{i}, &placement_, {}, write_behind, &certifier_}));
    }
  }
  template <typename Verb>
  void call(std::size_t shard, Verb verb) {
    Env env{now, entropy_};
    Outputs out;
    verb(*shards_[shard], env, out);
    for (Output& output : out) work_.push_back({shard, std::move(output)});
  }
  template <typename Verb>
  void at(SessionId session, Verb verb) {
    call(shard_of(session), verb);
  }
  void perform(std::size_t shard, Write& write) {
    now = now + write_takes;
    Result<void> result = fail(Code::kFull, "the disk is full");
    if (!fail_writes) result = store.write({&write.batch, 1}, ports::Durability::kSafe);
    call(shard,
         [&](Shard& s, Env& env, Outputs& out) { s.on_written(write.token, result, env, out); });
  }
  void perform(std::size_t shard, Read& read) {
    ++reads;
    call(shard, [&](Shard& s, Env& env, Outputs& out) {
      s.on_read(read.token, store.scan(read.scan), env, out);
    });
  }
  void perform(std::size_t, Send& send) {
    proto::FrameReader reader;
    ASSERT_TRUE(reader.feed(*send.frame));
    auto frame = reader.next();
    ASSERT_TRUE(frame && *frame);
    sessions_[send.session].frames.push_back(**frame);
  }
  void perform(std::size_t, Close& close_it) { sessions_[close_it.session].closed = true; }
  void perform(std::size_t, Publish& publish) {
    if (lose_bus != 0 && ++published_ % lose_bus == 0) return;
    if (lose_verb && decode<Message>(publish.message)->verb == *lose_verb) return;
    for (int i = 0; i < (duplicate_bus ? 2 : 1); ++i) {
      call(publish.to.value,
           [&](Shard& s, Env& env, Outputs& out) { s.on_bus(publish.message, env, out); });
    }
  }
  void perform(std::size_t shard, Timer& timer) { timers_.emplace_back(shard, timer.after); }
  void perform(std::size_t shard, SendCode& send) {
    code = send.code;
    call(shard,
         [&](Shard& s, Env& env, Outputs& out) { s.on_code_sent(send.token, {}, env, out); });
  }

  Placement placement_;
  SeededEntropy certifier_entropy_{3};
  Certifier certifier_{crypto::Key(ByteArray<32>{7}), certifier_entropy_};
  std::vector<std::pair<std::size_t, Duration>> timers_;
  std::uint32_t incarnation_ = 1;
  std::vector<std::unique_ptr<Shard>> shards_;
  std::deque<std::pair<std::size_t, Output>> work_;
  std::map<SessionId, Connection> sessions_;
  SeededEntropy entropy_{7};
  std::uint64_t last_session_ = 0;
  std::uint32_t published_ = 0;
  std::uint64_t last_request_ = 0;
};

struct Person {
  std::string phone;
  PeerKey peer{};
  SessionId session;
  UserId user;
};

class ShardTest : public testing::TestWithParam<std::uint16_t> {
 protected:
  static proto::KemPrekey kem_prekey(std::uint32_t id) {
    return {id, Bytes(1569, static_cast<std::uint8_t>(id)), Bytes(64, 9)};
  }
  proto::Register form(const Person& p, const std::string& code) {
    proto::Register form{.phone = p.phone,
                         .code = code,
                         .registration_id = 100u + p.peer[0],
                         .identity_key = to_bytes(crypto::PublicKey{{p.peer[0]}}.wire()),
                         .signed_prekey = {1, Bytes(33, 5), Bytes(64, 9)},
                         .last_resort_prekey = kem_prekey(kLastResort)};
    for (std::uint32_t id = 1; id <= 30; ++id) form.one_time_prekeys.push_back({id, Bytes(33, 5)});
    for (std::uint32_t id = 1; id <= 25; ++id) form.kem_prekeys.push_back(kem_prekey(id));
    return form;
  }
  static constexpr std::uint32_t kLastResort = 777;
  Person join(std::uint8_t n) {
    Person p{"+3361234567" + std::to_string(n), {}, {}, {}};
    p.peer[0] = n;
    p.session = node_.open(p.peer);
    node_.ask<proto::Attached>(p.session, Kind::kRequestCode, proto::RequestCode{p.phone});
    const auto done = node_.ask<proto::Registered>(p.session, Kind::kRegister, form(p, node_.code));
    p.user = done.user;
    attach(p);
    return p;
  }
  void attach(Person& p, Sequence after = {}) {
    p.session = node_.open(p.peer);
    node_.ask<proto::Attached>(p.session, Kind::kAttach, proto::Attach{p.user, {1}, after});
  }
  proto::Submit letter(const Person& to, std::uint8_t n, std::size_t size = 20) {
    proto::Parcel parcel{
        {}, {1}, 100u + to.peer[0], proto::CiphertextType::kWhisper, Bytes(size, n)};
    parcel.id.octets = {n, 1};
    return {to.user, {{{parcel}}}};
  }

  Node node_{GetParam()};
};

}  // namespace godwit::server
