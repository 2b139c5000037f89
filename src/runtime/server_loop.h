// ServerLoop: one thread with one shard and its share of the connections.
//
// It moves octets between sockets and frames, and performs what the shard asks for, in order. It
// reads no frame's body and decides nothing that a shard could.
//
// What a turn leads to leaves at its end: one write per connection with all of its frames, one
// submission to the store, one hand-over to each other shard.
//
// A SessionId is (shard + 1) << 54 | index << 32 | generation of the connection. All but what says
// otherwise belongs to the loop's thread.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <thread>

#include "crypto/system_entropy.h"
#include "io/descriptor_channel.h"
#include "io/tcp.h"
#include "runtime/code_courier.h"
#include "runtime/connection.h"
#include "runtime/store_worker.h"
#include "server/handshake_queue.h"
#include "server/shard.h"

namespace godwit::runtime {

class ServerLoop;

// What the loops of a process share; outlives them.
struct ServerShared {
  crypto::KeyPair key;
  ByteArray<32> pepper{};
  std::optional<server::Certifier> certifier;  // immutable
  std::optional<server::Placement> placement;
  std::unique_ptr<StoreWorker> store;
  std::unique_ptr<CodeCourier> courier;
  std::vector<std::unique_ptr<ServerLoop>> loops;  // by shard
  Duration handshake_timeout;
  Duration idle_timeout;
  Duration write_behind;
  std::uint32_t max_connections = UINT32_MAX;
  std::atomic<std::uint32_t> connections = 0;  // of all loops
  // What loops wait for from the store, the courier and each other. 0, and no input: all is done.
  std::atomic<std::int64_t> under_way = 0;
  std::atomic<std::uint64_t> pause_us = 0;  // of the last upgrade that was tried
};

// As of the last tick.
struct LoopCounters {
  server::Counters shard;
  std::array<std::uint64_t, kConnectResults.size()> connects{};
  std::array<std::uint64_t, kEndReasons.size()> ends{};
  std::uint64_t connections = 0;
  std::uint64_t frames_in = 0;
  std::uint64_t frames_out = 0;
  std::uint64_t octets_in = 0;
  std::uint64_t octets_out = 0;
  std::uint64_t bus_dropped = 0;
  std::uint64_t shed_network = 0;  // handshakes: too many of one network wait
  std::uint64_t shed_handshakes = 0;  // too many in all
  Duration ticked;  // uptime of the last tick
};

class ServerLoop final : private io::Tcp::Owner {
 public:
  static constexpr std::uint32_t kMaxConnections = (1U << 22) - 1;

  static Result<std::unique_ptr<ServerLoop>> create(ServerShared& shared, ShardId shard);
  ~ServerLoop() override;

  // Before start(). Connections over `max_connections` are closed at once.
  Result<io::Address> listen(const io::Address& address, std::uint32_t max_connections);
  // `own_table`: the thread gets a table of descriptors of its own, and holds its sockets there.
  void start(bool own_table);

  // Any thread. Stops listening, lets the shard take leave of its sessions, closes all.
  void drain();
  // Any thread. True when no connection was left before `deadline`. After drain().
  bool wait_until_empty(std::chrono::steady_clock::time_point deadline);
  // Any thread. Ends the thread; connections that are left are cut.
  void stop();

  // Any thread: what the other threads have for this one.
  void take_reports(std::vector<StoreReport> reports);
  void take_messages(std::vector<Bytes> messages);
  LoopCounters counters() const;

  // ---- handover to another process, by server_handover.cc. Any thread; each is answered once, on
  // the loop's thread, or the process ends before.
  using Answer = std::function<void(Result<void>)>;

  // The old one. Passes its sockets to who accepts at `address`, while it goes on serving.
  void offer_descriptors(std::string address, Answer answer);
  // Takes no more from clients until go_on(). What was asked for before still comes.
  void hold(Answer answer);
  // At rest and held: passes everything else. From here on it must not send or open a record.
  void hand_over(Answer answer);
  // Either process, once ownership is its own for good: records may be sent. All loops, before one
  // of them serves and sends messages to others.
  void own(Answer answer);
  // The other process has ended, and never took ownership: all is as before.
  void go_on();

  // The new one. Before start(): what `channel` says is the beginning.
  void expect(io::DescriptorChannel channel);
  void receive_descriptors(std::uint32_t max_connections, Answer answer);
  // Serves. After own().
  void begin();
  // Answers when the loop turns.
  void turn(Answer answer);

 private:
  ServerLoop(ServerShared& shared, ShardId shard, std::unique_ptr<io::Loop> loop);

  void on_accepted(io::Conn conn) override;
  std::size_t on_octets(io::Conn conn, ByteView octets) override;
  void on_closed(io::Conn conn, io::CloseReason reason) override;
  void on_turn_end() override;

  // server_connection.cc: octets to frames and back.
  Connection* find(io::Conn conn);
  std::size_t consume(io::Conn conn, Connection& connection, ByteView octets);
  std::size_t consume_preamble(io::Conn conn, Connection& connection, ByteView octets);
  void queue_handshake(io::Conn conn, Connection& connection, ByteView message);
  void take_handshakes();  // some of those that wait
  void take_handshake(io::Conn conn, Connection& connection, ByteView message);
  void open(io::Conn conn, Connection& connection);
  void take_record(io::Conn conn, Connection& connection, ByteView record);
  void take_frames(io::Conn conn, Connection& connection);
  void take_hungry();  // those that had more than a turn's frames
  void refuse(io::Conn conn, Connection& connection, ConnectResult result);
  void end(io::Conn conn, Connection& connection, EndReason reason);
  void flush(io::Conn conn, Connection& connection);
  bool seal(Connection& connection, ByteView plaintext);
  SessionId session_of(io::Conn conn) const;
  std::optional<io::Conn> conn_of(SessionId session) const;

  // server_loop.cc: the shard.
  // Tells the shard something, and performs what it asks for.
  template <typename Event>
  void tell(Event event) {
    Env env{loop_->now(), entropy_};
    event(env);
    for (server::Output& output : outputs_) perform(output);
    outputs_.clear();
  }
  void perform(server::Output& output);
  void take_own_table();
  void mark(io::Conn conn, Connection& connection);
  void mark_late(io::Conn conn, Connection& connection);
  void mark_due();  // of late_; all, when held
  void take_own_messages();
  void observe_delay();
  void tick();
  void end_overdue();
  void publish_counters();
  void account_for_work();

  // server_handover.cc
  void settle(Answer answer);
  void offer_some();
  Result<bool> pass_batch(Duration wait);
  void write_snapshot(Bytes& out);
  Result<void> receive();
  Result<void> take_descriptors(ByteView places, std::span<const int>& descriptors);
  Result<void> take_snapshot(ByteView octets);
  Result<void> take_connection(ByteView octets);

  ServerShared& shared_;
  const ShardId shard_id_;
  const std::unique_ptr<io::Loop> loop_;
  io::Tcp tcp_;
  crypto::SystemEntropy entropy_;
  server::Shard shard_;
  server::Outputs outputs_;

  io::Chunked<Connection> connections_;  // beside the slots of tcp_
  struct Handshake {
    Duration deadline;
    io::Conn conn;
  };
  std::deque<Handshake> handshakes_;  // oldest first; those that are done are passed over
  server::HandshakeQueue handshake_queue_;  // tickets: SessionIds
  std::uint32_t frames_left_ = 0;  // of the connection that is being read, in this turn
  std::vector<io::Conn> hungry_;
  struct Late {
    Duration due;
    io::Conn conn;
  };
  std::deque<Late> late_;  // frames of theirs may wait; soonest first
  std::uint32_t idle_cursor_ = 0;
  Duration delay_observed_;  // uptime when the shard was told
  bool draining_ = false;

  // Collected during a turn.
  std::vector<io::Conn> dirty_;
  std::vector<StoreJob> jobs_;
  std::vector<std::vector<Bytes>> published_;  // by shard
  Bytes plain_;
  Bytes wire_;

  std::int64_t work_done_ = 0;  // of shared_.under_way, in this turn
  std::int64_t codes_asked_ = 0;  // in this turn
  std::int64_t timers_set_ = 0;  // in this turn
  std::int64_t own_counted_ = 0;  // messages to itself that under_way counts

  // In a handover.
  bool held_ = false;  // takes nothing from clients
  bool ours_ = true;  // the connections may be used: their nonces are counted here
  io::DescriptorChannel channel_;
  std::vector<std::uint64_t> passed_;  // by place: generation + 1 of what was passed
  std::uint32_t pass_cursor_ = 0;
  bool listener_passed_ = false;
  bool batch_out_ = false;  // a batch is not answered yet
  Answer offering_;
  std::uint32_t max_connections_ = kMaxConnections;

  LoopCounters counts_;

  mutable std::mutex mutex_;  // guards what follows
  std::condition_variable emptied_;
  std::vector<Bytes> inbox_;
  LoopCounters counters_;
  bool empty_ = false;

  std::thread thread_;
};

}  // namespace godwit::runtime
