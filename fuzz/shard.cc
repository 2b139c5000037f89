// Two server shards and their store against clients, a bus and a disk that do anything.
//
// The input is a program: an octet says what happens next, its arguments follow. Some steps are
// arbitrary octets, some are well-formed, so that the input also reaches what lies behind a
// registration. No program may trip a CHECK, keep the shards busy for ever, or make them send what
// is no frame.
#include "server/shard.h"

#include <deque>

#include "base/check.h"
#include "fuzz.h"
#include "ports/memory_store.h"
#include "proto/frame.h"

using namespace godwit;

namespace {

constexpr std::uint16_t kShards = 2;
constexpr std::uint64_t kSessions = 6;
constexpr Duration kWriteBehind = milliseconds(200);  // of the first shard
constexpr int kMaxOutputs = 20000;  // of one step: far above what any step can cause

class Server {
 public:
  // Two people are registered and attached, so that every input starts behind the front door.
  Server() : entropy_(1), env_{Instant{1'000'000}, entropy_} {
    start();
    for (std::uint8_t session = 0; session < 2; ++session) {
      request_code(session);
      settle();
      register_device(session);
      settle();
      attach(session, session);
      settle();
    }
    CHECK(users_.size() == 2);
  }

  void step(fuzz::Input& input) {
    switch (input.octet() % 14) {
      case 0: open(input.octet()); break;
      case 1:
        frame(input.octet(), {proto::Kind{input.octet()}, input.octet(), to_bytes(input.piece())});
        break;
      case 2: close(input.octet()); break;
      case 3: on_bus(input.octet(), input.piece()); break;
      case 4: env_.now = env_.now + milliseconds((input.octet() << 8 | input.octet()) * 100); break;
      case 5: tick(); break;
      case 6: failing_ = input.octet(); break;
      case 7: spoil_ = to_bytes(input.piece()); break;
      case 8: start(); break;
      case 9: request_code(input.octet()); break;
      case 10: register_device(input.octet()); break;
      case 11: attach(input.octet(), input.octet()); break;
      case 12: submit(input.octet(), input.octet()); break;
      case 13: acknowledge(input.octet(), input.octet()); break;
    }
    settle();
  }

 private:
  struct Pending {
    std::uint16_t shard;
    server::Output output;
  };

  // ---- the process

  void start() {
    shards_.clear();
    outputs_.clear();
    placement_ = std::make_unique<server::Placement>(kShards, ++incarnation_);
    for (std::uint16_t i = 0; i < kShards; ++i) {
      shards_.push_back(std::make_unique<server::Shard>(server::ShardConfig{
          ShardId{i}, placement_.get(), {}, i == 0 ? kWriteBehind : Duration{}}));
    }
    for (std::uint64_t i = 0; i < kSessions; ++i) open(static_cast<std::uint8_t>(i));
  }

  std::uint16_t shard_of(std::uint64_t session) const {
    return static_cast<std::uint16_t>(session % kShards);
  }
  void collect(std::uint16_t shard, server::Outputs& out) {
    for (auto& output : out) outputs_.push_back({shard, std::move(output)});
  }

  // ---- what the world does

  void open(std::uint8_t session) {
    server::Outputs out;
    server::PeerKey peer{};
    peer[0] = static_cast<std::uint8_t>(session % kSessions + 1);
    shards_[shard_of(session)]->on_open({session % kSessions}, peer, env_, out);
    collect(shard_of(session), out);
  }
  void close(std::uint64_t session) {
    server::Outputs out;
    shards_[shard_of(session)]->on_closed({session % kSessions}, env_, out);
    collect(shard_of(session), out);
  }
  void frame(std::uint64_t session, proto::Frame frame) {
    server::Outputs out;
    shards_[shard_of(session)]->on_frame({session % kSessions}, std::move(frame), env_, out);
    collect(shard_of(session), out);
  }
  void on_bus(std::uint16_t shard, ByteView message) {
    server::Outputs out;
    shards_[shard % kShards]->on_bus(message, env_, out);
    collect(shard % kShards, out);
  }
  void tick() {
    for (std::uint16_t i = 0; i < kShards; ++i) {
      server::Outputs out;
      shards_[i]->on_tick(env_, out);
      shards_[i]->on_timer(env_, out);
      collect(i, out);
    }
  }

  static std::string phone(std::uint8_t session) {
    return "+3361234567" + std::to_string(session % kSessions);
  }
  void request_code(std::uint8_t session) {
    frame(session,
          proto::make_frame(proto::Kind::kRequestCode, 1, proto::RequestCode{phone(session)}));
  }
  void register_device(std::uint8_t session) {
    proto::Register record{phone(session),
                           code_,
                           7,
                           Bytes(33, 5),
                           {1, Bytes(33, 5), Bytes(64, 6)},
                           {{1, Bytes(33, 5)}, {2, Bytes(33, 5)}},
                           {9, Bytes(1569, 8), Bytes(64, 6)},
                           {{1, Bytes(1569, 8), Bytes(64, 6)}}};
    frame(session, proto::make_frame(proto::Kind::kRegister, 2, record));
  }
  UserId user(std::uint8_t index) const {
    return users_.empty() ? UserId{} : users_[index % users_.size()];
  }
  void attach(std::uint8_t session, std::uint8_t who) {
    frame(session, proto::make_frame(proto::Kind::kAttach, 3, proto::Attach{user(who), {1}, {}}));
  }
  void submit(std::uint8_t session, std::uint8_t to) {
    proto::Submit submit{user(to), {}};
    for (int i = 0; i < 1 + to % 4; ++i) {
      proto::Parcel parcel{
          EnvelopeId::random(entropy_), {1}, 7, proto::CiphertextType::kWhisper, Bytes(10, 1)};
      submit.messages.push_back({{parcel}});
    }
    frame(session, proto::make_frame(proto::Kind::kSubmit, 4, submit));
  }
  void acknowledge(std::uint8_t session, std::uint8_t back) {
    const auto up_to = newest_ > back ? newest_ - back : 0;
    frame(session, proto::make_frame(proto::Kind::kAck, 0, proto::Ack{{up_to}}));
  }

  // ---- what the shards ask for

  void settle() {
    for (int done = 0; !outputs_.empty(); ++done) {
      CHECK(done < kMaxOutputs);
      Pending next = std::move(outputs_.front());
      outputs_.pop_front();
      server::Outputs out;
      std::visit([&](auto& output) { perform(next.shard, output, out); }, next.output);
      collect(next.shard, out);
    }
  }

  bool fails() { return failing_ > 0 && --failing_ % 3 == 0; }

  void perform(std::uint16_t shard, server::Write& write, server::Outputs& out) {
    Result<void> result = store_.write({&write.batch, 1}, ports::Durability::kSafe);
    if (fails()) result = fail(Code::kIo, "refused");
    shards_[shard]->on_written(write.token, result, env_, out);
  }
  void perform(std::uint16_t shard, server::Read& read, server::Outputs& out) {
    store_.set_now(env_.now);
    auto rows = store_.scan(read.scan);
    if (rows && !rows->empty() && !spoil_.empty()) {
      ports::Row& row = rows->at(spoil_.front() % rows->size());
      row.value = std::move(spoil_);  // keys come back as written: adapters verify checksums
      spoil_.clear();
    }
    if (fails()) rows = fail(Code::kCorrupt, "refused");
    shards_[shard]->on_read(read.token, std::move(rows), env_, out);
  }
  void perform(std::uint16_t, server::Send& send, server::Outputs&) {
    proto::FrameReader reader;
    CHECK(reader.feed(*send.frame));
    for (;;) {
      auto frame = reader.next();
      CHECK(frame);
      if (!*frame) return;
      received(**frame);
    }
  }
  void perform(std::uint16_t shard, server::Close& close, server::Outputs& out) {
    shards_[shard]->on_closed(close.session, env_, out);
  }
  void perform(std::uint16_t, server::Publish& publish, server::Outputs&) {
    on_bus(publish.to.value, publish.message);
  }
  void perform(std::uint16_t, server::Timer&, server::Outputs&) {}  // tick() fires them all
  void perform(std::uint16_t shard, server::SendCode& send, server::Outputs& out) {
    code_ = send.code;
    Result<void> result;
    if (fails()) result = fail(Code::kUnavailable, "refused");
    shards_[shard]->on_code_sent(send.token, result, env_, out);
  }

  void received(const proto::Frame& frame) {
    if (frame.kind == proto::Kind::kOk && frame.id == 2) {
      const auto registered = decode<proto::Registered>(frame.body);
      if (registered && users_.size() < 16) users_.push_back(registered->user);
    }
    if (frame.kind != proto::Kind::kDeliver) return;
    const auto deliver = decode<proto::Deliver>(frame.body);
    if (!deliver) return;
    for (const auto& delivery : deliver->deliveries) {
      newest_ = std::max(newest_, delivery.sequence.value);
    }
  }

  SeededEntropy entropy_;
  Env env_;
  ports::MemoryStore store_;
  std::unique_ptr<server::Placement> placement_;
  std::vector<std::unique_ptr<server::Shard>> shards_;
  std::deque<Pending> outputs_;
  std::uint32_t incarnation_ = 0;
  std::uint8_t failing_ = 0;
  Bytes spoil_;
  std::string code_ = "000000";
  std::vector<UserId> users_;
  std::uint64_t newest_ = 0;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input input(data, size);
  Server server;
  for (int steps = 0; steps < 200 && !input.empty(); ++steps) server.step(input);
  return 0;
}
