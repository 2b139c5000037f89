// Shard: one thread's worth of entities (sessions, accounts, directory entries), and the keeper of
// the commit rule. The edge tells it what happened; it appends what must happen to `out`.
//
// It routes and never decides. It owns no socket, clock, disk or thread; whoever does (runtime/,
// sim/) performs the Outputs in order and reports back through on_written, on_read and
// on_code_sent, later. Nothing that is told to it can make it fail: bad input ends at most the
// session that sent it, a failed commit at most the entity that asked for it.
//
// Lives on one thread: not thread-safe, and need not be.
#pragma once

#include <memory>
#include <variant>

#include "base/env.h"
#include "base/id.h"
#include "ports/store.h"
#include "proto/messages.h"
#include "server/certifier.h"
#include "server/counters.h"
#include "server/message.h"
#include "server/placement.h"

namespace godwit::server {

// ---- what a shard asks of the world, in order

using Token = std::uint64_t;  // unique per shard; a report names the request that it answers

// Store one partition's batch, durably (kSafe), then call on_written(token).
struct Write {
  Token token = 0;
  ports::Batch batch;
};
// Scan, then call on_read(token). Reads see every Write before them.
struct Read {
  Token token = 0;
  ports::Scan scan;
};
// Send one frame on a connection; dropped silently when the connection is gone. If it cannot be
// queued (slow reader), the connection is closed, never the frame skipped (RELIABILITY R11).
struct Send {
  SessionId session;
  SharedBytes frame;  // as proto::put_frame writes it, length prefix included
  bool late = false;  // may wait limits::kLateSend for others of the connection, which it precedes
};
// Flush what was sent, then close the connection. on_closed is still reported.
struct Close {
  SessionId session;
};
// Carry octets to another shard's on_bus.
struct Publish {
  ShardId to;
  Bytes message;
};
// Send a verification code through the Gateway, then call on_code_sent(token).
struct SendCode {
  Token token = 0;
  std::string phone;
  std::string code;
};
// Call on_timer after this time.
struct Timer {
  Duration after;
};
using Output = std::variant<Write, Read, Send, Close, Publish, SendCode, Timer>;
using Outputs = std::vector<Output>;

struct ShardConfig {
  ShardId id;
  const Placement* placement = nullptr;  // outlives the shard; immutable
  ByteArray<32> pepper{};  // keys the directory: HMAC(pepper, number)
  // How long what was pushed may wait for its acknowledgement before it is stored (held.h).
  Duration write_behind;
  const Certifier* certifier = nullptr;  // outlives the shard; null: nobody gets a certificate
};

class Shard {
 public:
  explicit Shard(ShardConfig config);
  ~Shard();

  // A connection completed its handshake. `session` is unique for the process's lifetime.
  void on_open(SessionId session, const PeerKey& peer, Env& env, Outputs& out);
  // One frame arrived, decoded.
  void on_frame(SessionId session, proto::Frame frame, Env& env, Outputs& out);
  void on_closed(SessionId session, Env& env, Outputs& out);

  void on_bus(ByteView message, Env& env, Outputs& out);
  void on_written(Token token, Result<void> result, Env& env, Outputs& out);
  void on_read(Token token, Result<std::vector<ports::Row>> rows, Env& env, Outputs& out);
  void on_code_sent(Token token, Result<void> result, Env& env, Outputs& out);

  void on_timer(Env& env, Outputs& out);
  // Call about once a second: forgets entities that nobody has needed for a while.
  void on_tick(Env& env, Outputs& out);

  // `intervals` of limits::kShedInterval went by; how long clients wait to be heard, when it was
  // measured anew. While it is long, some of those who ask for more work are refused at once, and
  // told when to come again.
  void observe_delay(std::int64_t intervals, std::optional<Duration> delay);

  // Tells every session that the server stops (they reconnect later) and closes it.
  void drain(Env& env, Outputs& out);

  // Nothing of what it asked for is unanswered: it could be handed over.
  bool at_rest() const;
  // For a shard of another process that goes on with its sessions. At rest only (CHECKed).
  void hand_over(Bytes& out) const;
  // Goes on as `record` says, which hand_over() wrote elsewhere: a shard that has done nothing yet.
  // Then wake(), once what it asks for can be done. kCorrupt: not such a record.
  Result<void> take_over(ByteView record);
  void wake(Env& env, Outputs& out);

  const Counters& counters() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace godwit::server
