// Crowd: one thread's phones. It registers, connects, keeps them alive with pings, and lets them
// write to each other; it never waits for an answer before the next phone goes on.
//
// A thread has a table of descriptors and a source address of its own, so that neither 20,000
// descriptors nor 28,000 ports are the limit.
//
// Any thread may call what is public; the rest belongs to the crowd's thread.
#pragma once

#include <array>
#include <atomic>
#include <functional>
#include <thread>

#include "apps/loadgen/codes.h"
#include "apps/loadgen/latencies.h"
#include "apps/loadgen/ledger.h"
#include "apps/loadgen/people.h"
#include "apps/loadgen/phone.h"
#include "crypto/system_entropy.h"
#include "io/chunked.h"
#include "io/tcp.h"

namespace godwit::loadgen {

// What the crowds of a process share; outlives them.
struct Scene {
  io::Address server;
  People people;  // each user's id is written by one crowd, before others are told of it
  Codes codes;
  Duration ping;
  bool own_tables = false;
  // For people whom somebody encrypts for: fills the keys of a registration in, instead of noise;
  // and is told of what is delivered, with the time in microseconds. Any crowd's thread.
  std::function<void(proto::Register&)> keys;
  std::function<void(const proto::Envelope&, std::int64_t)> sees;
};

// Messages to send. Those of one plan share a ledger.
struct Plan {
  std::uint64_t run = 0;  // tells its messages from those of earlier runs
  std::shared_ptr<Ledger> ledger;
  double rate = 0;  // a second, from this crowd; 0: as the answers come
  std::uint32_t outstanding = 0;  // then this many are under way
  std::uint32_t begin = 0;  // user that may be written to, and ...
  std::uint32_t users = 0;  // ... the end of those
  std::size_t size = 0;  // of a ciphertext
  // When there are writers, they are users 0, `stride`, 2 x `stride`, ... and everyone writes to
  // the next user, with `outstanding` messages each; a message is under way until it is accepted
  // and delivered. With targets, they write to these in turn, and only acceptance counts.
  std::uint32_t writers = 0;
  std::uint32_t stride = 2;
  std::uint32_t first = 0;
  std::uint32_t targets = 0;
  std::uint32_t end_of_writers() const { return writers * stride; }
};

class Crowd final : private io::Tcp::Owner {
 public:
  // Why a connection ended before it did its work.
  struct Fault {
    enum class Kind : std::uint8_t {
      kNone,
      kUnreachable,
      kStranger,  // whoever answers is no godwit server, or not the one that was known
      kNoCode,  // the file of codes has none
      kRefused,  // `text`: what the server said
      kClosed,  // by the server, without a word
    };
    Kind kind = Kind::kNone;
    std::string text;
  };
  // Progress and mishaps, counted since the start.
  struct Tally {
    std::atomic<std::uint64_t> registered = 0;
    std::atomic<std::uint64_t> attached = 0;  // now
    std::atomic<std::uint64_t> failed = 0;  // connections that ended before they did their work
    std::atomic<std::uint64_t> cut = 0;  // attached ones that ended
    std::atomic<std::uint64_t> refused = 0;  // messages
    std::atomic<std::uint64_t> accepted = 0;
    std::atomic<std::uint64_t> delivered = 0;
    std::atomic<std::uint64_t> duplicated = 0;
  };

  static Result<std::unique_ptr<Crowd>> create(Scene& scene, std::uint16_t number);
  ~Crowd() override;

  void start(const std::vector<std::unique_ptr<Crowd>>& all);
  void stop();

  // Users [first, end) get accounts, or connections that stay. `window` at a time.
  void register_users(std::uint32_t first, std::uint32_t end, std::uint32_t window);
  void connect_users(std::uint32_t first, std::uint32_t end, std::uint32_t window);
  // Takes the plan; all crowds, before one of them writes to people of another, who would not know
  // its messages. Waits for the thread.
  void prepare(const Plan& plan);
  void begin();
  // No new messages; those under way still arrive.
  void cease();

  const Tally& tally() const { return tally_; }
  // Of the plan's messages, from when they were due to when they were delivered here.
  Latencies latencies();
  // The last one; none since a phone last did its work.
  Fault fault();

 private:
  enum class Work : std::uint8_t { kNone, kRegister, kConnect };

  Crowd(Scene& scene, io::Address source, std::unique_ptr<io::Loop> loop);
  void on_connected(io::Conn conn) override;
  std::size_t on_octets(io::Conn conn, ByteView octets) override;
  void on_closed(io::Conn conn, io::CloseReason reason) override;
  void on_turn_end() override;

  void set_work(Work work, std::uint32_t first, std::uint32_t end, std::uint32_t window);
  template <typename T>
  T copy(const T& of_the_thread);
  void open_more();
  void on_record(io::Conn conn, Phone& phone, ByteView record);
  void finish_handshake(io::Conn conn, Phone& phone);
  void on_frame(io::Conn conn, Phone& phone, const proto::Frame& frame);
  void on_answer(io::Conn conn, Phone& phone, const proto::Frame& frame);
  void on_deliver(io::Conn conn, Phone& phone, const proto::Frame& frame);
  void ask_for_code(io::Conn conn, Phone& phone);
  void send_registration(io::Conn conn, Phone& phone);
  void attach(io::Conn conn, Phone& phone);
  void send(io::Conn conn, Phone& phone, const proto::Frame& frame);

  void tick();
  void ping_some();
  void pace();
  // One message of a random phone here to a random user. False when none can be sent.
  bool write_message(std::int64_t due);
  // One message of a phone here, to `to` or, with targets, to the next of them.
  bool write_from(std::uint32_t index, std::uint32_t to, std::int64_t due);
  void find_writers();
  // The message is whole: its writer goes on.
  void next_of_writer(std::uint32_t user);

  Scene& scene_;
  const std::unique_ptr<io::Loop> loop_;
  io::Tcp tcp_;
  crypto::SystemEntropy entropy_;
  SeededEntropy dice_;
  const io::Address source_;
  io::Chunked<Phone> phones_;  // beside the slots of tcp_
  Bytes wire_;

  Work work_ = Work::kNone;
  std::uint32_t next_ = 0, end_ = 0, window_ = 0, open_ = 0;
  std::vector<std::uint32_t> failed_;  // users whose connection failed, until the next tick ...
  std::vector<std::uint32_t> again_;  // ... and then
  Fault fault_;

  std::uint32_t ping_turn_ = 0;

  Plan plan_;
  bool writing_ = false;
  std::int64_t began_ = 0;  // microseconds
  std::uint64_t written_ = 0;
  std::vector<std::uint32_t> writers_;  // indices of phones
  std::vector<std::uint32_t> index_of_;  // of a writer's phone, by user; kNobody: not here
  Latencies latencies_;
  Tally tally_;
  std::thread thread_;
};

}  // namespace godwit::loadgen
