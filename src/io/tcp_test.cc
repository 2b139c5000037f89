#include "io/tcp.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <set>
#include <string>

#include "base/limits.h"

namespace godwit::io {
namespace {

// Both ends of connections on one loop, with a script of what to do.
class TcpTest : public testing::Test, public Tcp::Owner {
 protected:
  void SetUp() override {
    auto loop = Loop::create();
    ASSERT_TRUE(loop);
    loop_ = std::move(*loop);
    tcp_ = std::make_unique<Tcp>(*loop_, *this);
    const auto at = tcp_->listen((*Address::resolve("127.0.0.1:0"))[0], max_connections());
    ASSERT_TRUE(at) << at.error().text;
    server_ = *at;
    loop_->after(seconds(10), [this] {
      ADD_FAILURE() << "the test took too long";
      loop_->stop();
    });
  }
  virtual std::uint32_t max_connections() const { return 100; }

  void on_accepted(Conn conn) override { accepted_.push_back(conn); }
  void on_connected(Conn conn) override {
    if (connected) connected(conn);
  }
  std::size_t on_octets(Conn conn, ByteView octets) override {
    return arrived ? arrived(conn, octets) : octets.size();
  }
  void on_closed(Conn conn, CloseReason reason) override {
    closed_.push_back(reason);
    if (ended) ended(conn, reason);
  }
  Conn connect() {
    const auto conn = tcp_->connect(server_, seconds(5));
    EXPECT_TRUE(conn);
    return *conn;
  }
  bool is_server(Conn conn) const { return std::ranges::count(accepted_, conn) == 1; }

  std::unique_ptr<Loop> loop_;
  std::unique_ptr<Tcp> tcp_;
  Address server_ = (*Address::resolve("127.0.0.1:1"))[0];
  std::vector<Conn> accepted_;
  std::vector<CloseReason> closed_;
  std::function<void(Conn)> connected;
  std::function<std::size_t(Conn, ByteView)> arrived;
  std::function<void(Conn, CloseReason)> ended;
};

TEST_F(TcpTest, AConnectionMayLeaveFromAnAddressOfChoice) {
  int connections = 0;
  connected = [&](Conn conn) {
    ++connections;
    tcp_->abort(conn);
  };
  ended = [&](Conn, CloseReason) {
    if (closed_.size() == 4) loop_->stop();  // both ends of one, and the other two
  };
  for (const char* from : {"127.1.2.3:0", "192.0.2.1:0", "[::1]:0"}) {
    ASSERT_TRUE(tcp_->connect(server_, seconds(5), (*Address::resolve(from))[0]));
  }
  loop_->run();
  EXPECT_EQ(connections, 1);
  EXPECT_EQ(std::ranges::count(closed_, CloseReason::kRefused), 2);
}

TEST_F(TcpTest, OctetsArriveInOrderAndTheUnusedRestIsOfferedAgain) {
  std::string text;
  for (int i = 0; i < 30000; ++i) text += std::to_string(i) + " ";
  std::string got;
  connected = [&](Conn conn) {
    for (std::size_t at = 0; at < text.size(); at += 777) {
      tcp_->send(conn, view_of(text.substr(at, 777)));
    }
    tcp_->close(conn);
  };
  arrived = [&](Conn, ByteView octets) {  // takes whole words only
    const auto text_view = text_of(octets);
    const std::size_t end = text_view.rfind(' ');
    if (end == std::string_view::npos) return std::size_t{0};
    got += text_view.substr(0, end + 1);
    return end + 1;
  };
  ended = [&](Conn, CloseReason) {
    if (closed_.size() == 2) loop_->stop();
  };
  connect();
  loop_->run();
  EXPECT_EQ(got, text);
  EXPECT_EQ(tcp_->connections(), 0U);
}

TEST_F(TcpTest, CloseDeliversWhatWasSentBefore) {
  const Bytes piece(100'000, 7);
  std::size_t sent = 0, got = 0;
  connected = [&](Conn conn) { tcp_->send(conn, view_of("give")); };
  arrived = [&](Conn conn, ByteView octets) {
    if (is_server(conn)) {
      for (; tcp_->queued(conn) == 0; sent += piece.size()) tcp_->send(conn, piece);
      tcp_->close(conn);
      tcp_->send(conn, view_of("dropped"));
      EXPECT_FALSE(tcp_->is_open(conn));
    } else {
      got += octets.size();
    }
    return octets.size();
  };
  ended = [&](Conn, CloseReason) {
    if (closed_.size() == 2) loop_->stop();
  };
  connect();
  loop_->run();
  EXPECT_EQ(got, sent);
  std::ranges::sort(closed_);
  EXPECT_EQ(closed_, (std::vector{CloseReason::kLocal, CloseReason::kPeer}));
}

TEST_F(TcpTest, ASlowReaderIsCutOff) {
  const int reader = socket(AF_INET, SOCK_STREAM, 0);
  ASSERT_EQ(::connect(reader, server_.data(), server_.size()), 0);
  ASSERT_EQ(write(reader, "x", 1), 1);
  std::size_t sent = 0;
  arrived = [&](Conn conn, ByteView octets) {
    const Bytes megabyte(1024 * 1024);
    while (tcp_->is_open(conn) && sent < 64) {
      tcp_->send(conn, megabyte);
      ++sent;
      EXPECT_LE(tcp_->queued(conn), limits::kSendQueueBytes);
    }
    return octets.size();
  };
  ended = [&](Conn, CloseReason) { loop_->stop(); };
  loop_->run();
  EXPECT_EQ(closed_, std::vector{CloseReason::kSlowReader});
  EXPECT_LT(sent, 64U);
  ::close(reader);
}

TEST_F(TcpTest, NobodyListens) {
  tcp_->stop_listening();
  ended = [&](Conn, CloseReason) { loop_->stop(); };
  connect();
  loop_->run();
  EXPECT_EQ(closed_, std::vector{CloseReason::kRefused});
}

TEST_F(TcpTest, NoAnswerInTimeIsATimeout) {
  // A listener with a full backlog answers nothing.
  const int mute = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_storage bound{};
  socklen_t size = sizeof bound;
  const Address any = (*Address::resolve("127.0.0.1:0"))[0];
  ASSERT_EQ(bind(mute, any.data(), any.size()), 0);
  ASSERT_EQ(::listen(mute, 0), 0);
  ASSERT_EQ(getsockname(mute, reinterpret_cast<sockaddr*>(&bound), &size), 0);
  int waiting = 0;
  for (int i = 0; i < 4; ++i) {
    ASSERT_TRUE(tcp_->connect(Address::from(bound), milliseconds(200)));
  }
  connected = [&](Conn conn) {
    ++waiting;
    tcp_->abort(conn);
  };
  ended = [&](Conn, CloseReason) {
    if (closed_.size() == 4) loop_->stop();
  };
  loop_->run();
  EXPECT_GE(std::ranges::count(closed_, CloseReason::kTimeout), 1);
  ::close(mute);
}

TEST_F(TcpTest, AConnNamesOneConnectionForEver) {
  Conn first{};
  connected = [&](Conn conn) {
    if (first == Conn{}) {
      first = conn;
      tcp_->abort(conn);
      EXPECT_TRUE(closed_.empty()) << "never told from inside a call";
      tcp_->abort(conn);
    } else {
      EXPECT_NE(conn, first);
      tcp_->send(first, view_of("nobody"));
      tcp_->close(first);
      tcp_->abort(first);
      EXPECT_TRUE(tcp_->is_open(conn));
      loop_->stop();
    }
  };
  ended = [&](Conn, CloseReason) {
    if (closed_.size() == 2) connect();
  };
  const Conn never = connect();  // index 0, generation 0
  tcp_->abort(never);
  connect();
  loop_->run();
}

class TcpMaximumTest : public TcpTest {
 protected:
  std::uint32_t max_connections() const override { return 4; }
};

TEST_F(TcpMaximumTest, MoreConnectionsThanTheMaximumAreClosed) {
  std::vector<int> peers;
  for (int i = 0; i < 6; ++i) {
    peers.push_back(socket(AF_INET, SOCK_STREAM, 0));
    ASSERT_EQ(::connect(peers.back(), server_.data(), server_.size()), 0);
  }
  loop_->after(milliseconds(100), [&] { loop_->stop(); });
  loop_->run();
  EXPECT_EQ(tcp_->connections(), 4U);
  EXPECT_EQ(tcp_->refused(), 2U);
  for (const int peer : peers) ::close(peer);
}

TEST(Address, IsReadAndWritten) {
  for (const char* text : {"127.0.0.1:7400", "[::1]:1", "0.0.0.0:65535"}) {
    const auto address = Address::resolve(text);
    ASSERT_TRUE(address) << text;
    EXPECT_EQ((*address)[0].text(), text);
  }
  EXPECT_EQ((*Address::resolve("localhost:80"))[0].port(), 80);
  for (const char* text : {"", "7400", ":7400", "127.0.0.1", "127.0.0.1:", "127.0.0.1:x",
                           "127.0.0.1:65536", "::1:80", "127.0.0.1:80 "}) {
    const auto address = Address::resolve(text);
    ASSERT_FALSE(address) << text;
    EXPECT_EQ(address.error().code, Code::kInvalid) << text;
  }
}

TEST(Address, AListenerSaysWhatIsWrong) {
  auto loop = Loop::create();
  ASSERT_TRUE(loop);
  struct Nobody final : Tcp::Owner {
    std::size_t on_octets(Conn, ByteView octets) override { return octets.size(); }
    void on_closed(Conn, CloseReason) override {}
  } nobody;
  Tcp tcp(**loop, nobody);
  const int other = socket(AF_INET, SOCK_STREAM, 0);  // without SO_REUSEPORT
  const Address any = (*Address::resolve("127.0.0.1:0"))[0];
  sockaddr_storage bound{};
  socklen_t size = sizeof bound;
  ASSERT_EQ(bind(other, any.data(), any.size()), 0);
  ASSERT_EQ(::listen(other, 1), 0);
  ASSERT_EQ(getsockname(other, reinterpret_cast<sockaddr*>(&bound), &size), 0);
  EXPECT_EQ(tcp.listen(Address::from(bound), 1).error().code, Code::kConflict);
  EXPECT_EQ(tcp.listen((*Address::resolve("192.0.2.1:0"))[0], 1).error().code, Code::kIo);
  ::close(other);
}

}  // namespace
}  // namespace godwit::io
