#include "sim/net.h"

#include <gtest/gtest.h>

namespace godwit::sim {
namespace {

struct Ends : Net::Client, Net::Server {
  bool listening() const override { return up; }
  void opened(ConnectionId, DeviceIndex, bool) override { ++opens; }
  void closed(ConnectionId) override { ++closes; }
  void connected(ConnectionId) override { ++connects; }
  void disconnected(ConnectionId) override { ++disconnects; }
  // Both ends have a received(); these tests send upwards only.
  void received(ConnectionId, proto::Frame frame) override { ids.push_back(frame.id); }
  bool up = true;
  int opens = 0, closes = 0, connects = 0, disconnects = 0;
  std::vector<std::uint64_t> ids;
};

class NetTest : public testing::Test {
 protected:
  NetTest() { net.attach_server(ends); }
  void run(Duration time = seconds(100)) {
    const Instant end = timeline.now() + time;
    while (timeline.step(end)) {
    }
  }
  ConnectionId open() {
    const ConnectionId id = net.connect(0, ends);
    run();
    return id;
  }
  void send(ConnectionId id, std::uint64_t number) {
    net.to_server(id, {proto::Kind::kPing, number, Bytes(number % 50)});
  }

  Timeline timeline{Instant{0}};
  SeededEntropy luck{1};
  Trace trace{Instant{0}};
  Net net{timeline, luck, trace};
  Ends ends;
};

TEST_F(NetTest, FramesArriveInOrderWhateverTheWeather) {
  net.set_weather({.slowest = seconds(1), .stalls = 300});
  const ConnectionId id = open();
  std::vector<std::uint64_t> sent;
  for (std::uint64_t i = 1; i <= 100; ++i) {
    send(id, i);
    sent.push_back(i);
    if (i == 50) net.cut(0, timeline.now() + seconds(30));
    run(milliseconds(100));
  }
  run();
  EXPECT_EQ(ends.ids, sent);
}

TEST_F(NetTest, AResetLosesWhatIsInFlightAndTellsBothEnds) {
  const ConnectionId id = open();
  send(id, 1);
  net.reset(id);
  send(id, 2);
  run();
  EXPECT_TRUE(ends.ids.empty());
  EXPECT_EQ(ends.disconnects, 1);
  EXPECT_EQ(ends.closes, 1);
}

TEST_F(NetTest, ASilentResetTellsNobodyButWhoCloses) {
  net.set_weather({.silent = 1000});
  const ConnectionId id = open();
  net.reset(id);
  run();
  EXPECT_EQ(ends.disconnects + ends.closes, 0);
  net.close(id, Net::End::kClient);
  run();
  EXPECT_EQ(ends.disconnects, 1);
  EXPECT_EQ(ends.closes, 0);
}

TEST_F(NetTest, AConnectionIsRefusedByAServerThatIsAway) {
  ends.up = false;
  open();
  EXPECT_EQ(ends.connects, 0);
  EXPECT_EQ(ends.disconnects, 1);
}

TEST_F(NetTest, ClosingDeliversWhatWasSent) {
  const ConnectionId id = open();
  send(id, 1);
  net.close(id, Net::End::kClient);
  send(id, 2);
  run();
  EXPECT_EQ(ends.ids, std::vector<std::uint64_t>{1});
  EXPECT_EQ(ends.closes, 1);
}

}  // namespace
}  // namespace godwit::sim
