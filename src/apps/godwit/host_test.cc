#include "apps/godwit/host.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <unistd.h>

#include <future>
#include <thread>

#include "apps/godwit/attach.h"
#include "apps/godwit/front_end.h"
#include "crypto/system_entropy.h"
#include "ports/memory_store.h"

namespace godwit::cli {
namespace {

// A terminal that exists only in memory.
class MemoryScreen final : public Screen {
 public:
  bool out(std::string_view octets) override {
    out_ += octets;
    return true;
  }
  void err(std::string_view octets) override { err_ += octets; }
  int input_fd() const override { return -1; }
  bool read(std::string&) override { return false; }
  std::string out_, err_;
};

struct Ran {
  Outcome outcome{};
  int exit_code = -1;
  std::string out, err;
};

Ran run_on(int fd, const std::vector<std::string>& args) {
  MemoryScreen screen;
  FrontEnd front_end(fd, screen);
  const Outcome outcome = front_end.run({.args = args});
  return {outcome, front_end.exit_code(), screen.out_, screen.err_};
}

// A server that takes connections and says nothing.
class SilentServer {
 public:
  SilentServer() : fd_(::socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    EXPECT_EQ(::bind(fd_, reinterpret_cast<sockaddr*>(&address), size), 0);
    EXPECT_EQ(::listen(fd_, 5), 0);
    EXPECT_EQ(::getsockname(fd_, reinterpret_cast<sockaddr*>(&address), &size), 0);
    port_ = ntohs(address.sin_port);
  }
  ~SilentServer() { ::close(fd_); }
  std::string address() const { return "127.0.0.1:" + std::to_string(port_); }

 private:
  int fd_;
  int port_ = 0;
};

// A host on its own thread, over a store in memory.
class HostTest : public testing::Test {
 protected:
  void SetUp() override {
    loop_ = std::move(*io::Loop::create());
    host_ = std::move(*Host::create(*loop_, store_, entropy_, "/home", -1));
    first_ = attach();
  }
  void serve() {
    thread_ = std::thread([this] { host_->run(); });
  }
  // Before serve(), or from the host's own thread.
  int attach() {
    int pair[2];
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    host_->adopt(pair[1]);
    return pair[0];
  }
  int attach_while_serving() {
    std::promise<int> fd;
    loop_->post([&] { fd.set_value(attach()); });
    return fd.get_future().get();
  }
  void TearDown() override {
    if (thread_.joinable()) thread_.join();  // the host ends with its last front-end
  }

  ports::MemoryStore store_;
  crypto::SystemEntropy entropy_;
  std::unique_ptr<io::Loop> loop_;
  std::unique_ptr<Host> host_;
  int first_ = -1;
  std::thread thread_;
};

TEST_F(HostTest, RunsACommandAndEndsWithItsFrontEnd) {
  serve();
  const Ran ran = run_on(first_, {"status", "--json"});
  EXPECT_EQ(ran.outcome, Outcome::kEnded);
  EXPECT_EQ(ran.exit_code, kExitOk);
  EXPECT_EQ(ran.out,
            "{\"type\":\"status\",\"home\":\"/home\",\"registered\":false,\"server\":\"\","
            "\"connection\":\"offline\",\"outbox\":0,"
            "\"retries\":{\"connection\":0,\"messages\":0}}\n");
}

TEST_F(HostTest, ErrorsGoToStderrInTheAskedForm) {
  serve();
  const int second = attach_while_serving();
  const Ran human = run_on(first_, {"send", "+33687654321", "hi"});
  EXPECT_EQ(human.exit_code, kExitRefused);
  EXPECT_EQ(human.out, "");
  EXPECT_TRUE(human.err.starts_with("godwit: this home has no account yet"));
  const Ran json = run_on(second, {"send", "+33687654321", "hi", "--json"});
  EXPECT_TRUE(json.err.starts_with("{\"type\":\"error\",\"code\":\"not_registered\""));
}

TEST_F(HostTest, ACommandThatWaitsHoldsUpNobody) {
  const SilentServer silent;
  serve();
  const int second = attach_while_serving();
  Ran waiting;
  std::thread other(
      [&] { waiting = run_on(second, {"register", "+33612345678", "--timeout", "0.6"}); });
  MemoryScreen screen;
  FrontEnd registering(first_, screen);
  std::thread first([&] {
    registering.run(
        {.args = {"register", "+33612345678", "--timeout", "0.6"}, .server = silent.address()});
  });
  const auto before = std::chrono::steady_clock::now();
  const Ran ran = run_on(attach_while_serving(), {"status"});
  EXPECT_EQ(ran.exit_code, kExitOk);
  EXPECT_LT(std::chrono::steady_clock::now() - before, std::chrono::milliseconds(500));
  first.join();
  other.join();
  EXPECT_EQ(registering.exit_code(), kExitTimeout) << screen.err_;
}

TEST_F(HostTest, AFrontEndThatTalksNonsenseIsDropped) {
  serve();
  const std::string_view nonsense("\xff\xff\xff\xff what", 9);
  ASSERT_EQ(::send(first_, nonsense.data(), nonsense.size(), 0), 9);
  char octets[64];
  while (::recv(first_, octets, sizeof octets, 0) > 0) {
  }
  ::close(first_);
}

// Real processes on a real home.
TEST(AttachmentTest, TheFirstForksAHostAndTheNextFindIt) {
  char name[] = "/tmp/godwit-host-XXXXXX";
  ASSERT_NE(::mkdtemp(name), nullptr);
  // Deeper than a Unix socket's address could say.
  const std::filesystem::path deep = std::filesystem::path(name) / std::string(120, 'd') / "home";
  const auto home = Home::open(deep);
  ASSERT_TRUE(home) << home.error().text;
  crypto::SystemEntropy entropy;
  const auto key = home->unlock(std::nullopt, entropy);
  ASSERT_TRUE(key);
  Attachment attachment(*home, *key);
  const auto first = attachment.connect();
  ASSERT_TRUE(first);
  for (int i = 0; !std::filesystem::exists(home->socket()) && i < 500; ++i) ::usleep(10'000);
  const auto second = attachment.connect();
  ASSERT_TRUE(second);
  EXPECT_EQ(run_on(*first, {"status", "--json"}).exit_code, kExitOk);
  const Ran ran = run_on(*second, {"status", "--json"});
  EXPECT_EQ(ran.exit_code, kExitOk);
  EXPECT_NE(ran.out.find(deep.string()), std::string::npos);
  const int lock = ::open(home->lock().c_str(), O_RDWR);
  for (int i = 0; ::flock(lock, LOCK_EX | LOCK_NB) != 0 && i < 500; ++i) ::usleep(10'000);
  EXPECT_EQ(::flock(lock, LOCK_EX | LOCK_NB), 0) << "the host ends with its last front-end";
  ::close(lock);
  std::filesystem::remove_all(name);
}

TEST(PacketReaderTest, CutsTheStreamWhereverItIsSplit) {
  Bytes stream;
  put_packet(stream, PacketKind::kOut, view_of("hello"));
  put_packet(stream, PacketKind::kWantInput);
  for (std::size_t split = 0; split <= stream.size(); ++split) {
    PacketReader reader;
    std::vector<Packet> packets;
    for (const ByteView part : {ByteView(stream).first(split), ByteView(stream).subspan(split)}) {
      reader.feed(part);
      for (;;) {
        const auto packet = reader.next();
        ASSERT_TRUE(packet);
        if (!*packet) break;
        packets.push_back(**packet);
      }
    }
    ASSERT_EQ(packets.size(), 2U);
    EXPECT_EQ(text_of(packets[0].body), "hello");
    EXPECT_EQ(packets[1].kind, PacketKind::kWantInput);
  }
  PacketReader reader;
  reader.feed(view_of("\x7f\xff\xff\xff"));
  EXPECT_EQ(reader.next().error().code, Code::kTooLarge);
}

}  // namespace
}  // namespace godwit::cli
