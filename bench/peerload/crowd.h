// Crowd: many Peers of one server on one thread, and the messages among them.
//
// Measures as apps/loadgen does: a message leaves its pair's window when its receiver has it and
// its sender has the server's acknowledgement; latency counts from when a message was due.
#pragma once

#include <functional>
#include <vector>

#include "apps/loadgen/latencies.h"
#include "apps/loadgen/ledger.h"
#include "bench/peerload/peer.h"

namespace peerload {

struct CrowdOptions {
  std::string dialect;  // mqtt, nats, jetstream, xmpp
  std::uint16_t port = 0;
  bool tls = false;
  bool persistent = false;  // MQTT: sessions that outlive connections
};

// What is written, and by whom.
struct Plan {
  std::uint32_t writers = 0;    // users that write: every `stride`-th from 0
  std::uint32_t stride = 2;     // 2: pairs, N writes to N + 1
  std::uint32_t window = 1;     // of each, when `rate` is 0
  double rate = 0;              // a second, of all
  std::uint32_t first = 0;      // when `targets` > 0: these users, in turn
  std::uint32_t targets = 0;
  std::uint32_t messages = 0;   // at most; 0: until the time is over
  std::size_t size = 200;
};

class Crowd final : private Listener {
 public:
  explicit Crowd(const CrowdOptions& options);
  ~Crowd() override;

  // Each answers with a line of JSON, or with text behind "error: ".
  std::string register_users(std::uint32_t count);
  std::string connect(std::uint32_t first, std::uint32_t end);
  std::string leave(std::uint32_t first, std::uint32_t end);
  std::string idle(double seconds);
  std::string write(const Plan& plan, double seconds);
  // Users [first, end) connect, and receive what waits for them since the last write().
  std::string drain(std::uint32_t first, std::uint32_t end);
  // XMPP: the first `members` users come into a room; user 0 says `count` messages there.
  std::string join(const std::string& room, std::uint32_t members);
  std::string speak(const std::string& room, const Plan& plan);

 private:
  void on_ready(Peer& peer) override;
  void on_accepted(Peer& peer, std::uint32_t number) override;
  void on_received(Peer& peer, std::string_view payload) override;
  void on_joined(Peer& peer) override;

  void open(std::uint32_t user);
  void close(Peer& peer);
  void turn(int wait_ms);
  // Turns until `done`, or nothing has moved for a while.
  bool run_until(const std::function<bool()>& done, double most_seconds = 1e9);
  void on_readable(Peer& peer);
  void on_octets(Peer& peer, std::string_view octets);
  void flush(Peer& peer);
  void pace();
  std::string payload_of(std::uint32_t number, std::int64_t due) const;
  bool write_message(std::uint32_t writer, std::int64_t due);
  std::string fates(double seconds, std::uint64_t in_time) const;

  const CrowdOptions options_;
  std::unique_ptr<Dialect> dialect_;
  SSL_CTX* tls_ = nullptr;
  int epoll_ = -1;
  std::vector<std::unique_ptr<Peer>> peers_;  // by user
  std::vector<std::uint32_t> dirty_;          // users with something to send
  std::vector<char> scratch_;

  std::uint32_t next_ = 0, end_ = 0;  // to connect
  std::uint32_t ready_ = 0, opening_ = 0;
  std::uint64_t cut_ = 0, became_ready_ = 0;

  Plan plan_;
  bool writing_ = false;
  std::uint32_t run_ = 0;
  std::int64_t began_ = 0;
  std::uint64_t written_ = 0;
  std::shared_ptr<godwit::loadgen::Ledger> ledger_;
  godwit::loadgen::Latencies latencies_;
  std::uint64_t delivered_ = 0, accepted_ = 0, duplicated_ = 0, moves_ = 0;
  std::uint64_t joined_ = 0;
  bool in_room_ = false;  // what is written is for many
};

}  // namespace peerload
