// The whole server in this process, and clients that speak to it through real sockets.
#include "runtime/server_runtime.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <fstream>
#include <sstream>

#include "base/limits.h"
#include "io/descriptors.h"
#include "ports/memory_store.h"
#include "ports/recording_gateway.h"

namespace godwit::runtime {
namespace {

using proto::Frame;
using proto::Handshake;
using proto::Kind;

// A MemoryStore that several threads may use, and whose disk may be full.
class SharedStore final : public ports::Store {
 public:
  Result<void> write(std::span<const ports::Batch> batches, ports::Durability how) override {
    const std::lock_guard lock(mutex_);
    if (full) return fail(Code::kFull, "the disk is full");
    return inner_.write(batches, how);
  }
  Result<std::vector<ports::Row>> scan(const ports::Scan& scan) override {
    const std::lock_guard lock(mutex_);
    return inner_.scan(scan);
  }
  Result<void> expire(Instant now) override {
    const std::lock_guard lock(mutex_);
    return inner_.expire(now);
  }
  Result<std::uint64_t> count(ports::Space space) override {
    const std::lock_guard lock(mutex_);
    return inner_.count(space);
  }
  void set_now(Instant now) override {
    const std::lock_guard lock(mutex_);
    inner_.set_now(now);
  }
  std::atomic<bool> full = false;

 private:
  std::mutex mutex_;
  ports::MemoryStore inner_;
};

// A client of few words, which blocks.
class Peer {
 public:
  explicit Peer(const io::Address& server) : fd_(socket(server.family(), SOCK_STREAM, 0)) {
    const timeval patience{.tv_sec = 15, .tv_usec = 0};
    setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    EXPECT_EQ(connect(fd_, server.data(), server.size()), 0);
  }
  ~Peer() { close(fd_); }
  Peer(const Peer&) = delete;

  void write(ByteView octets) {
    while (!octets.empty()) {
      const ssize_t sent = send(fd_, octets.data(), octets.size(), MSG_NOSIGNAL);
      if (sent <= 0) return;
      octets = octets.subspan(static_cast<std::size_t>(sent));
    }
  }
  // Empty when the server closed the connection.
  Bytes read(std::size_t size) {
    Bytes octets(size);
    for (std::size_t got = 0; got < size;) {
      const ssize_t more = recv(fd_, octets.data() + got, size - got, 0);
      if (more <= 0) return {};
      got += static_cast<std::size_t>(more);
    }
    return octets;
  }
  void write_message(ByteView message) {
    Bytes wire;
    put_be16(wire, static_cast<std::uint16_t>(message.size()));
    append(wire, message);
    write(wire);
  }
  Bytes read_message() {
    const Bytes size = read(2);
    return size.empty() ? Bytes{} : read(get_be16(size));
  }
  bool is_closed() { return read(1).empty(); }

  // The handshake; false when the server ended it.
  bool shake(Handshake kind, const crypto::CurvePoint& server_key, bool one_octet_a_time = false) {
    Bytes hello = to_bytes(proto::kPreamble);
    hello.push_back(static_cast<std::uint8_t>(kind));
    auto noise = kind == Handshake::kXX
                     ? proto::NoiseHandshake::initiator_xx(key_, hello)
                     : proto::NoiseHandshake::initiator_ik(key_, server_key, hello);
    const Bytes first = *noise.write({}, entropy_);
    put_be16(hello, static_cast<std::uint16_t>(first.size()));
    append(hello, first);
    for (std::size_t i = 0; one_octet_a_time && i + 1 < hello.size(); ++i) {
      write(ByteView(hello).subspan(i, 1));
      usleep(200);
    }
    write(one_octet_a_time ? ByteView(hello).last(1) : hello);
    const Bytes answer = read_message();
    if (answer.empty() || !noise.read(answer)) return false;
    EXPECT_EQ(*noise.remote_static(), server_key);
    if (!noise.finished()) write_message(*noise.write({}, entropy_));
    channel_.emplace(noise.split());
    return true;
  }
  void write_plain(ByteView plaintext) {
    Bytes record;
    ASSERT_TRUE(channel_->seal(plaintext, record));
    write_message(record);
  }
  void ask(Kind kind, std::uint64_t id, Bytes body = {}) {
    Bytes stream;
    proto::put_frame(stream, {kind, id, std::move(body)});
    write_plain(stream);
  }
  std::optional<Frame> next() {
    for (;;) {
      auto frame = reader_.next();
      EXPECT_TRUE(frame);
      if (*frame) return **frame;
      const Bytes record = read_message();
      if (record.empty()) return std::nullopt;
      const auto plain = channel_->open(record);
      if (!plain || !reader_.feed(*plain)) return std::nullopt;
    }
  }
  int fd() const { return fd_; }

 private:
  const int fd_;
  crypto::SystemEntropy entropy_;
  crypto::KeyPair key_ = crypto::KeyPair::generate(entropy_);
  std::optional<proto::NoiseChannel> channel_;
  proto::FrameReader reader_;
};

class ServerRuntimeTest : public testing::Test {
 protected:
  void SetUp() override { start({.threads = 2}); }
  void start(ServerRuntime::Options options) {
    runtime_.reset();
    auto made = ServerRuntime::create(options, store_, gateway_);
    ASSERT_TRUE(made);
    runtime_ = std::move(*made);
    const auto at = runtime_->listen((*io::Address::resolve("127.0.0.1:0"))[0]);
    ASSERT_TRUE(at);
    address_ = *at;
    runtime_->start();
  }
  std::unique_ptr<Peer> peer(Handshake kind = Handshake::kIK) {
    auto made = std::make_unique<Peer>(address_);
    EXPECT_TRUE(made->shake(kind, runtime_->key()));
    return made;
  }
  // The metric's value once it is `expected`, or after three seconds whatever it is.
  std::string metric(const std::string& name, const std::string& expected) {
    std::string value;
    for (int i = 0; i < 60; ++i, usleep(50'000)) {
      const std::string text = runtime_->metrics();
      const std::size_t at = text.find("\n" + name + " ");
      if (at == std::string::npos) return "missing";
      const std::size_t start = at + name.size() + 2;
      value = text.substr(start, text.find('\n', start) - start);
      if (value == expected) break;
    }
    return value;
  }

  SharedStore store_;
  ports::RecordingGateway gateway_;
  std::unique_ptr<ServerRuntime> runtime_;
  io::Address address_ = (*io::Address::resolve("127.0.0.1:0"))[0];
};

TEST_F(ServerRuntimeTest, AnswersAfterEitherHandshake) {
  for (const Handshake kind : {Handshake::kXX, Handshake::kIK}) {
    const auto client = peer(kind);
    client->ask(Kind::kPing, 7);
    const auto answer = client->next();
    ASSERT_TRUE(answer);
    EXPECT_EQ(answer->id, 7U);
  }
  EXPECT_EQ(metric("godwitd_connects_total{result=\"ok\"}", "2"), "2");
  EXPECT_EQ(metric("godwitd_connections", "0"), "0");
  EXPECT_EQ(metric("godwitd_disconnects_total{reason=\"client\"}", "2"), "2");
}

TEST_F(ServerRuntimeTest, OctetsMayComeOneByOneAndFramesManyAtOnce) {
  Peer client(address_);
  ASSERT_TRUE(client.shake(Handshake::kXX, runtime_->key(), true));
  Bytes stream;
  for (std::uint64_t id = 1; id <= 500; ++id) proto::put_frame(stream, {Kind::kPing, id, {}});
  for (std::size_t at = 0; at < stream.size(); at += 61) {
    client.write_plain(ByteView(stream).subspan(at, std::min<std::size_t>(61, stream.size() - at)));
  }
  for (std::uint64_t id = 1; id <= 500; ++id) ASSERT_EQ(client.next()->id, id);
}

TEST_F(ServerRuntimeTest, MoreFramesThanATurnTakesAreAllAnsweredInTheirOrder) {
  Peer peer(address_);
  ASSERT_TRUE(peer.shake(Handshake::kIK, runtime_->key()));
  constexpr std::uint64_t kRecords = 3, kFrames = 10 * limits::kFramesPerTurn + 1;
  std::uint64_t id = 0;
  for (std::uint64_t record = 0; record < kRecords; ++record) {
    Bytes stream;
    for (std::uint64_t i = 0; i < kFrames; ++i) proto::put_frame(stream, {Kind::kSubmit, ++id, {}});
    peer.write_plain(stream);
  }
  for (std::uint64_t expected = 1; expected <= kRecords * kFrames; ++expected) {
    const auto frame = peer.next();
    ASSERT_TRUE(frame.has_value());
    ASSERT_EQ(frame->id, expected);
  }
}

TEST_F(ServerRuntimeTest, ACodeTravelsThroughStoreAndGatewayFromEveryShard) {
  for (int i = 0; i < 8; ++i) {
    const auto client = peer();
    const std::string phone = "+3361234567" + std::to_string(i);
    client->ask(Kind::kRequestCode, 1, encode(proto::RequestCode{phone}));
    const auto answer = client->next();
    ASSERT_TRUE(answer);
    EXPECT_EQ(answer->kind, Kind::kOk);
  }
  runtime_.reset();
  EXPECT_EQ(gateway_.sent().size(), 8U);
}

TEST_F(ServerRuntimeTest, GarbageEndsTheConnectionAndNothingElse) {
  const auto good = peer();
  Peer http(address_);
  http.write(view_of("GET / HTTP/1.1\r\n\r\n"));
  EXPECT_TRUE(http.is_closed());
  Peer newer(address_);
  newer.write(Bytes{'G', 'W', 2, 0, 1});
  EXPECT_TRUE(newer.is_closed());
  Peer other(address_);
  other.write(Bytes{'G', 'W', 1, 0, 3});
  EXPECT_TRUE(other.is_closed());
  Peer large(address_);
  large.write(Bytes{'G', 'W', 1, 0, 1, 0xff, 0xff});
  EXPECT_TRUE(large.is_closed());
  Peer empty(address_);
  empty.write(Bytes{'G', 'W', 1, 0, 2, 0, 0});
  EXPECT_TRUE(empty.is_closed());
  Peer noise(address_);
  noise.write(Bytes{'G', 'W', 1, 0, 2, 0, 96});
  noise.write(Bytes(96, 0x42));
  EXPECT_TRUE(noise.is_closed());
  Peer wrong_server(address_);
  crypto::SystemEntropy entropy;
  EXPECT_FALSE(wrong_server.shake(Handshake::kIK, crypto::KeyPair::generate(entropy).public_key));
  good->ask(Kind::kPing, 1);
  EXPECT_TRUE(good->next());
  EXPECT_EQ(metric("godwitd_connects_total{result=\"bad_preamble\"}", "3"), "3");
  EXPECT_EQ(metric("godwitd_connects_total{result=\"bad_handshake\"}", "4"), "4");
}

TEST_F(ServerRuntimeTest, ForgedRecordsAndBadFramesEndTheSession) {
  const auto forged = peer();
  forged->write_message(Bytes(40, 1));
  EXPECT_TRUE(forged->is_closed());
  const auto short_record = peer();
  short_record->write_message(Bytes{});
  EXPECT_TRUE(short_record->is_closed());
  const auto oversized = peer();
  Bytes length;
  put_varint(length, limits::kMaxFrame + 1);
  oversized->write_plain(length);
  EXPECT_FALSE(oversized->next());
  const auto malformed = peer();
  malformed->write_plain(Bytes{2, 0xff, 0xff});
  EXPECT_FALSE(malformed->next());
  EXPECT_EQ(metric("godwitd_disconnects_total{reason=\"bad_record\"}", "2"), "2");
  EXPECT_EQ(metric("godwitd_disconnects_total{reason=\"bad_frame\"}", "2"), "2");
}

TEST_F(ServerRuntimeTest, AClientThatDoesNotReadIsCutOff) {
  const auto client = peer();
  Bytes stream;
  for (std::uint64_t id = 1; id <= 5000; ++id) {
    proto::put_frame(stream, {Kind::kPing, ~id, {}});
  }
  const timeval patience{.tv_sec = 5, .tv_usec = 0};
  setsockopt(client->fd(), SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
  for (int i = 0; i < 400; ++i) {
    Bytes part(stream.begin(), stream.begin() + 60'000);
    client->write_plain(stream.size() > 65'000 ? ByteView(stream).first(65'000) : stream);
    pollfd state{.fd = client->fd(), .events = POLLRDHUP, .revents = 0};
    if (poll(&state, 1, 0) > 0 && (state.revents & (POLLHUP | POLLERR)) != 0) break;
    if (stream.size() > 65'000) std::rotate(stream.begin(), stream.begin() + 65'000, stream.end());
  }
  EXPECT_EQ(metric("godwitd_disconnects_total{reason=\"slow_reader\"}", "1"), "1");
}

TEST_F(ServerRuntimeTest, AtTheMaximumNewConnectionsAreRefused) {
  start({.threads = 2, .max_connections = 3});
  std::vector<std::unique_ptr<Peer>> clients;
  for (int i = 0; i < 3; ++i) clients.push_back(peer());
  Peer fourth(address_);
  EXPECT_TRUE(fourth.is_closed());
  clients.pop_back();
  EXPECT_EQ(metric("godwitd_connections", "2"), "2");
  clients.push_back(peer());
}

TEST_F(ServerRuntimeTest, MoreConnectionsThanOneLimitOfOpenFilesTakeSeveralTables) {
  start({.threads = 1, .max_connections = io::descriptor_limit() + 1});
  EXPECT_GT(runtime_->threads(), 1);
  const std::uint64_t before = open_descriptors();
  std::vector<std::unique_ptr<Peer>> clients;
  for (int i = 0; i < 40; ++i) clients.push_back(peer());  // over the listeners by chance
  for (std::size_t i = 0; i < clients.size(); ++i) {  // through shards, store and gateway
    const std::string phone = "+336123456" + std::to_string(10 + i);
    clients[i]->ask(Kind::kRequestCode, 1, encode(proto::RequestCode{phone}));
    ASSERT_TRUE(clients[i]->next());
  }
  EXPECT_EQ(open_descriptors(), before + clients.size());  // the clients' ends, none of the server
  std::thread stopping([&] { runtime_->stop(seconds(10)); });
  for (const auto& client : clients) {
    EXPECT_TRUE(client->next());
    EXPECT_FALSE(client->next());
  }
  clients.clear();
  stopping.join();
  const int late = socket(AF_INET, SOCK_STREAM, 0);
  EXPECT_NE(connect(late, address_.data(), address_.size()), 0);  // nobody listens any more
  close(late);
  start({.threads = 1});  // what others had under the threads' numbers is still there
  EXPECT_TRUE(peer());
}

TEST_F(ServerRuntimeTest, SilenceEndsAHandshakeSoonAndASessionLater) {
  start({.threads = 1, .handshake_timeout = milliseconds(500), .idle_timeout = seconds(1)});
  Peer silent(address_), slow(address_);
  slow.write(Bytes{'G', 'W', 1});
  const auto client = peer();
  const auto busy = peer();
  EXPECT_TRUE(silent.is_closed());
  EXPECT_TRUE(slow.is_closed());
  for (int i = 0; i < 10; ++i, usleep(300'000)) {
    busy->ask(Kind::kPing, 1);
    ASSERT_TRUE(busy->next());
  }
  EXPECT_TRUE(client->is_closed());
  EXPECT_EQ(metric("godwitd_connects_total{result=\"timeout\"}", "2"), "2");
  EXPECT_EQ(metric("godwitd_disconnects_total{reason=\"idle\"}", "1"), "1");
  EXPECT_EQ(metric("godwitd_sessions", "1"), "1");
}

TEST_F(ServerRuntimeTest, StoppingTakesLeaveOfEveryClient) {
  std::vector<std::unique_ptr<Peer>> clients;
  for (int i = 0; i < 5; ++i) clients.push_back(peer(Handshake::kXX));
  Peer silent(address_);  // half open: never says a word
  for (const auto& client : clients) {  // the server knows of them all
    client->ask(Kind::kPing, 1);
    ASSERT_TRUE(client->next());
  }
  std::thread stopping([&] { runtime_->stop(seconds(10)); });
  const auto start = std::chrono::steady_clock::now();
  for (const auto& client : clients) {
    const auto last = client->next();
    ASSERT_TRUE(last);
    EXPECT_EQ(last->kind, Kind::kClosing);
    EXPECT_FALSE(client->next());
  }
  EXPECT_TRUE(silent.is_closed());
  clients.clear();
  stopping.join();
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(3));
}

TEST_F(ServerRuntimeTest, AFullDiskIsToldAndOvercome) {
  const auto client = peer();
  EXPECT_EQ(runtime_->answer("/readyz").status, 200U);
  store_.full = true;
  client->ask(Kind::kRequestCode, 1, encode(proto::RequestCode{"+33612345678"}));
  const auto refused = client->next();
  ASSERT_TRUE(refused);
  EXPECT_EQ(refused->kind, Kind::kError);
  EXPECT_EQ(runtime_->answer("/readyz").status, 503U);
  EXPECT_EQ(runtime_->answer("/healthz").status, 200U);
  store_.full = false;
  EXPECT_EQ(metric("godwitd_ready", "1"), "1");
  client->ask(Kind::kRequestCode, 2, encode(proto::RequestCode{"+33612345678"}));
  EXPECT_EQ(client->next()->kind, Kind::kOk);
}

TEST_F(ServerRuntimeTest, KeepsItsKeyAndAPortInUseIsAnError) {
  const crypto::CurvePoint key = runtime_->key();
  start({.threads = 1});
  EXPECT_EQ(runtime_->key(), key);
  const int other = socket(AF_INET, SOCK_STREAM, 0);  // without SO_REUSEPORT
  sockaddr_storage bound{};
  socklen_t size = sizeof bound;
  const io::Address any = (*io::Address::resolve("127.0.0.1:0"))[0];
  ASSERT_EQ(bind(other, any.data(), any.size()), 0);
  ASSERT_EQ(listen(other, 1), 0);
  ASSERT_EQ(getsockname(other, reinterpret_cast<sockaddr*>(&bound), &size), 0);
  auto second = ServerRuntime::create({.threads = 1}, store_, gateway_);
  ASSERT_TRUE(second);
  EXPECT_EQ((*second)->listen(io::Address::from(bound)).error().code, Code::kConflict);
  close(other);
}

TEST_F(ServerRuntimeTest, EveryMetricIsDocumented) {
  std::stringstream docs;
  docs << std::ifstream("docs/operations.md").rdbuf();
  std::istringstream lines(runtime_->metrics());
  int families = 0;
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with("# TYPE ")) continue;
    const std::string name = line.substr(7, line.find(' ', 7) - 7);
    EXPECT_TRUE(docs.str().contains("`" + name)) << name;
    ++families;
  }
  EXPECT_GT(families, 15);
}

}  // namespace
}  // namespace godwit::runtime
