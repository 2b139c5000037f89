#include "runtime/server_link.h"

#include <gtest/gtest.h>

#include "crypto/system_entropy.h"

namespace godwit::runtime {
namespace {

// The other end: answers handshakes with its key and every frame with kOk.
class EchoServer final : public io::Tcp::Owner {
 public:
  explicit EchoServer(io::Loop& loop) : tcp_(loop, *this) {
    const auto any = io::Address::resolve("127.0.0.1:0");
    address_ = tcp_.listen(any->front(), 16)->text();
    renew_key();
  }
  void renew_key() { key_ = crypto::KeyPair::generate(entropy_); }
  const std::string& address() const { return address_; }
  const crypto::CurvePoint& key() const { return key_.public_key; }
  std::string kinds() const { return kinds_; }  // handshakes begun: X or I
  int finished_ = 0;

 private:
  void on_accepted(io::Conn) override {
    handshake_.reset();
    channel_.reset();
    reader_ = {};
  }
  std::size_t on_octets(io::Conn conn, ByteView octets) override {
    std::size_t used = 0;
    while (const std::size_t more = take(conn, octets.subspan(used))) used += more;
    return used;
  }
  std::size_t take(io::Conn conn, ByteView octets) {
    if (!handshake_ && !channel_) {
      if (octets.size() < 5) return 0;
      const ByteView prologue = octets.first(5);
      const bool ik = prologue[4] == static_cast<std::uint8_t>(proto::Handshake::kIK);
      kinds_ += ik ? 'I' : 'X';
      handshake_ = ik ? proto::NoiseHandshake::responder_ik(key_, prologue)
                      : proto::NoiseHandshake::responder_xx(key_, prologue);
      return 5;
    }
    if (octets.size() < 2 || octets.size() < 2U + get_be16(octets)) return 0;
    const std::size_t size = get_be16(octets);
    on_record(conn, octets.subspan(2, size));
    return 2 + size;
  }
  void on_record(io::Conn conn, ByteView record) {
    Bytes wire;
    if (channel_) {
      const auto plain = channel_->open(record);
      ASSERT_TRUE(plain);
      ASSERT_TRUE(reader_.feed(*plain));
      Bytes answers;
      while (auto frame = *reader_.next()) proto::put_frame(answers, proto::ok_frame(frame->id));
      if (answers.empty()) return;
      put_be16(wire, static_cast<std::uint16_t>(answers.size() + proto::NoiseChannel::kOverhead));
      ASSERT_TRUE(channel_->seal(answers, wire));
    } else {
      if (!handshake_->read(record)) {
        tcp_.abort(conn);
        return;
      }
      if (handshake_->my_turn()) {
        const Bytes message = *handshake_->write({}, entropy_);
        put_be16(wire, static_cast<std::uint16_t>(message.size()));
        append(wire, message);
      }
      if (handshake_->finished()) {
        ++finished_;
        channel_ = handshake_->split();
        handshake_.reset();
      }
    }
    tcp_.send(conn, wire);
  }
  void on_closed(io::Conn, io::CloseReason) override {}

  crypto::SystemEntropy entropy_;
  io::Tcp tcp_;
  std::string address_;
  std::string kinds_;
  crypto::KeyPair key_;
  std::optional<proto::NoiseHandshake> handshake_;
  std::optional<proto::NoiseChannel> channel_;
  proto::FrameReader reader_;
};

class ServerLinkTest : public testing::Test, private ServerLink::Owner {
 protected:
  ServerLinkTest() : loop_(std::move(*io::Loop::create())), server_(*loop_) {
    link_ = std::make_unique<ServerLink>(*loop_, entropy_, static_cast<ServerLink::Owner&>(*this));
    own_ = crypto::KeyPair::generate(entropy_);
  }
  // Connects and waits for what comes of it.
  void connect(std::optional<crypto::CurvePoint> pinned, const std::string& address) {
    learnt_.reset();
    fault_.reset();
    loop_->post([this, pinned, address] { link_->open(address, own_, pinned); });
    loop_->run();
  }
  void on_link_up(const crypto::CurvePoint& server) override {
    learnt_ = server;
    loop_->stop();
  }
  void on_link_frame(proto::Frame frame) override {
    answered_.push_back(frame.id);
    if (answered_.size() == expected_) loop_->stop();
  }
  void on_link_down(LinkFault fault, std::string) override {
    fault_ = fault;
    if (fault != LinkFault::kNone) loop_->stop();
  }

  crypto::SystemEntropy entropy_;
  std::unique_ptr<io::Loop> loop_;
  EchoServer server_;
  std::unique_ptr<ServerLink> link_;
  crypto::KeyPair own_;
  std::optional<crypto::CurvePoint> learnt_;
  std::optional<LinkFault> fault_;
  std::vector<std::uint64_t> answered_;
  std::size_t expected_ = 0;
};

TEST_F(ServerLinkTest, TrustsOnFirstUseThenSavesARoundTrip) {
  connect(std::nullopt, server_.address());
  ASSERT_EQ(learnt_, server_.key());
  link_->close();
  connect(server_.key(), server_.address());
  EXPECT_EQ(learnt_, server_.key());
  EXPECT_EQ(server_.kinds(), "XI");
}

TEST_F(ServerLinkTest, RefusesAChangedKeyBeforeItShowsWhoWeAre) {
  const crypto::CurvePoint pinned = server_.key();
  server_.renew_key();
  connect(pinned, server_.address());
  EXPECT_EQ(fault_, LinkFault::kServerKey);
  EXPECT_FALSE(learnt_);
  EXPECT_EQ(server_.kinds(), "IX");
  EXPECT_EQ(server_.finished_, 0) << "the last message of XX carries our key";
}

TEST_F(ServerLinkTest, FramesOfOneTurnComeBackInOrder) {
  connect(std::nullopt, server_.address());
  ASSERT_TRUE(link_->up());
  expected_ = 300;
  loop_->post([this] {
    for (std::uint64_t id = 1; id <= expected_; ++id) {
      link_->send({proto::Kind::kPing, id, Bytes(1000, 7)});  // several records
    }
    link_->flush();
  });
  loop_->run();
  ASSERT_EQ(answered_.size(), expected_);
  EXPECT_TRUE(std::ranges::is_sorted(answered_));
}

TEST_F(ServerLinkTest, NobodyThereIsAFault) {
  connect(std::nullopt, "127.0.0.1:1");
  EXPECT_EQ(fault_, LinkFault::kUnreachable);
  connect(std::nullopt, "no port");
  EXPECT_EQ(fault_, LinkFault::kUnreachable);
}

}  // namespace
}  // namespace godwit::runtime
