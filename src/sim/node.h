// Node: one server process and its machine: shards, the bus between them, the disk, the gateway.
// It performs what its shards ask for, in order, and may die between any two of it.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "server/shard.h"
#include "sim/disk.h"
#include "sim/life.h"
#include "sim/tap.h"

namespace godwit::sim {

class Node final : public Net::Server {
 public:
  struct Weather {
    std::uint32_t bus_loss = 0;  // messages in a thousand; likewise below
    std::uint32_t bus_duplication = 0;
    Duration bus_slowest;  // more than zero: messages overtake each other
    std::uint32_t gateway_failing = 0;
    std::uint32_t code_lost = 0;
    std::uint32_t damage = 0;  // deliveries of which a bit of the ciphertext turns
  };
  // A code arrives at a phone.
  using CodeSent = std::function<void(const std::string& phone, const std::string& code)>;
  // The Noise key of a device: what its connection proves.
  using PeerOf = std::function<ByteArray<32>(DeviceIndex)>;

  Node(Life& life, std::uint16_t shards, PeerOf peer_of, CodeSent code_sent);
  ~Node() override;

  void start();
  void kill();
  // Says good-bye, lets what is under way end, and stops; `stopped` follows.
  void stop(std::function<void()> stopped);
  // Dies before the `outputs`-th output from now, while it is about to perform it.
  void kill_after(std::uint32_t outputs, std::function<void()> killed);

  bool running() const { return !shards_.empty(); }
  void set_weather(Weather weather) { weather_ = weather; }
  // While nobody is there, an hour is as good as a second.
  void set_tick(Duration tick) { tick_ = tick; }
  // From the next start.
  void set_write_behind(Duration most) { write_behind_ = most; }
  // Vouches for nobody, so that everybody writes with a name. From the next start.
  void give_no_certificates() { certifies_ = false; }
  Disk& disk() { return disk_; }
  std::uint64_t stored_envelopes();
  // Of the shards that run now.
  server::Counters counters() const;
  bool idle() const { return disk_.idle() && bus_messages_ == 0; }

  // Net::Server
  bool listening() const override { return running() && !stopping_; }
  void opened(ConnectionId id, DeviceIndex from, bool nameless) override;
  void received(ConnectionId id, proto::Frame frame) override;
  void closed(ConnectionId id) override;

 private:
  struct Place {  // of a session
    std::size_t shard = 0;
    SessionId session;
  };
  // Something is told to a shard; what it asks for is performed.
  template <typename Tell>
  void tell(std::size_t shard, Tell tell);
  template <typename Tell>
  void tell_later(Duration delay, std::size_t shard, Tell tell);
  void perform(std::size_t shard, server::Outputs outputs);
  void perform(std::size_t shard, server::Write write);
  void perform(std::size_t shard, server::Read read);
  void perform(std::size_t shard, server::Send send);
  void perform(std::size_t shard, server::Close close);
  void perform(std::size_t shard, server::Publish publish);
  void perform(std::size_t shard, server::SendCode code);
  void perform(std::size_t shard, server::Timer timer);
  bool damage(proto::Frame& frame);
  void carry(server::Publish publish);
  void tick(std::size_t shard);

  Life& life_;
  const std::uint16_t shard_count_;
  const PeerOf peer_of_;
  const CodeSent code_sent_;
  Weather weather_;
  Duration tick_ = seconds(1);
  Duration write_behind_;
  bool certifies_ = true;
  SeededEntropy entropy_;
  Disk disk_;
  Tap tap_;

  std::uint32_t incarnation_ = 0;
  std::unique_ptr<server::Placement> placement_;
  std::unique_ptr<server::Certifier> certifier_;
  std::vector<std::unique_ptr<server::Shard>> shards_;
  std::uint64_t next_session_ = 1;
  std::map<ConnectionId, Place> places_;
  std::map<SessionId, ConnectionId> connections_;
  std::uint64_t bus_messages_ = 0;  // on their way
  bool stopping_ = false;
  std::uint32_t outputs_to_live_ = 0;  // 0: as many as it likes
  std::function<void()> killed_;
};

}  // namespace godwit::sim
