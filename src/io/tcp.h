// Tcp: the TCP connections of one loop: accepted from its listener, or made by connect().
//
// An idle connection is one slot of 24 octets here: octets that its owner could not use yet, and
// octets that the peer has not taken yet, are kept only while there are any.
//
// Invariants:
//   * on_closed is the last event of a connection, told exactly once, from the loop and never from
//     inside a call of the owner;
//   * octets go out in the order of the send() calls, none is skipped: a peer that does not take
//     them is cut off when limits::kSendQueueBytes wait (RELIABILITY R11);
//   * a Conn names one connection for ever: calls with one that is gone do nothing.
// Belongs to the loop's thread.
#pragma once

#include <optional>
#include <span>

#include "base/bytes.h"
#include "io/address.h"
#include "io/chunked.h"
#include "io/loop.h"

namespace godwit::io {

struct Conn {
  std::uint32_t index = 0;  // of a live connection: small, reused; for arrays beside
  std::uint32_t generation = 0;
  bool operator==(const Conn&) const = default;
};

enum class CloseReason : std::uint8_t {
  kLocal,       // close() or abort() here
  kPeer,        // the peer ended it
  kBroken,      // reset, unreachable, timed out in the kernel
  kSlowReader,  // too many octets wait
  kRefused,     // connect(): nobody listens, or no route
  kTimeout,     // connect(): no answer in time
};

class Tcp final : private Source {
 public:
  class Owner {
   public:
    virtual ~Owner() = default;
    virtual void on_accepted(Conn) {}
    virtual void on_connected(Conn) {}
    // Returns how many were used up; the rest is offered again, before what follows it. The rest
    // must be bounded by the owner: it closes the connection, or uses some.
    virtual std::size_t on_octets(Conn conn, ByteView octets) = 0;
    virtual void on_closed(Conn conn, CloseReason reason) = 0;
    // Every event of this turn has been told: send what they led to.
    virtual void on_turn_end() {}
  };

  Tcp(Loop& loop, Owner& owner);
  ~Tcp() override;

  // Listens with SO_REUSEPORT, so that each loop has its own queue; port 0 picks one. Returns the
  // address. Accepted connections over `max_connections` are closed at once.
  // kConflict: the port is taken; kForbidden: not allowed to use it; kIo: no such address here.
  Result<Address> listen(const Address& address, std::uint32_t max_connections);
  void stop_listening();
  int listener_descriptor() const { return listener_; }  // -1: there is none
  // Ends in on_connected, or in on_closed with kRefused or kTimeout. `source`: the local address;
  // its port 0 lets the system pick one.
  Result<Conn> connect(const Address& address, Duration timeout,
                       const std::optional<Address>& source = {});

  // Writes at once what the kernel takes; keeps the rest. May cut off a slow reader.
  void send(Conn conn, ByteView octets);
  // Octets that the kernel has not taken yet.
  std::size_t queued(Conn conn) const;
  // Sends what waits, says so to the peer, and closes when it has closed too, or after
  // limits::kCloseGrace. Nothing that arrives meanwhile is told.
  void close(Conn conn);
  // Closes without sending what waits.
  void abort(Conn conn, CloseReason reason = CloseReason::kLocal);

  // Closes the listener and all connections, and tells nobody: the loop has had its last turn. A
  // thread with its own table of descriptors does this before it ends.
  void close_all();

  // Reads no more of it until resume(), which offers what was kept, be it nothing, and then reads
  // on. What the peer sends meanwhile fills the kernel's buffers, and then the peer waits.
  void pause(Conn conn);
  void resume(Conn conn);

  // ---- handing connections over to another process. The loop is held, or is not running yet.

  // Places of connections, present and past: a Conn's index is less.
  std::uint32_t places() const { return slots_.size(); }
  struct Place {
    std::uint32_t generation = 0;
    int descriptor = -1;  // -1: no connection, or one that is ending
    ByteView unread;  // octets that the owner could not use yet
    ByteView unsent;
  };
  Place place(std::uint32_t index) const;
  // Another process holds these sockets too (or not any more): closing one does not end it.
  void share(bool shared) { shared_ = shared; }
  // Cuts those that are closing anyway.
  void end_closing();

  // As listen(), with a listener that another process opened.
  Result<void> take_listener(int fd, std::uint32_t max_connections);
  // A connection of another process, in the same place; `fd` belongs to this from here on. It takes
  // the place of an earlier one there. kIo: the kernel refuses to watch it.
  Result<void> take(Conn conn, int fd);
  // What waits for the connection that was taken. False: there is none.
  bool restore(Conn conn, ByteView unread, ByteView unsent);
  // All are taken: `places` by generation; a connection that is not its place's is closed.
  void end_taking(std::span<const std::uint32_t> generations);

  bool is_open(Conn conn) const;  // neither closed nor closing
  // The other end; nothing when it is gone.
  std::optional<Address> remote(Conn conn) const;
  std::uint32_t connections() const { return live_; }
  std::uint64_t refused() const { return refused_; }  // for want of descriptors or by the maximum

 private:
  enum class State : std::uint8_t { kFree, kConnecting, kOpen, kFlushing, kLingering, kDead };
  struct Buffers {
    Bytes in;
    Bytes out;
    std::size_t out_used = 0;
    bool empty() const { return in.empty() && out.empty(); }
  };
  struct Slot {
    int fd = -1;
    std::uint32_t generation = 0;
    State state = State::kFree;
    CloseReason reason = CloseReason::kLocal;
    std::uint32_t watched = 0;
    std::unique_ptr<Buffers> buffers;
  };
  static_assert(sizeof(Slot) <= 24);

  void on_ready(std::uint32_t index, std::uint32_t generation, std::uint32_t events) override;
  void on_turn_end() override;

  Slot* find(Conn conn);
  const Slot* find(Conn conn) const { return const_cast<Tcp*>(this)->find(conn); }
  Result<Conn> adopt(int fd, State state, std::uint32_t events);
  void accept_some();
  void finish_connect(Conn conn, Slot& slot);
  void read_some(Conn conn, Slot& slot);
  void offer(Conn conn, Slot& slot, ByteView fresh);
  void flush(Conn conn, Slot& slot);
  std::size_t write_some(Conn conn, Slot& slot, ByteView octets);
  void keep_out(Conn conn, Slot& slot, ByteView octets);
  void watch(Conn conn, Slot& slot, std::uint32_t events);
  void drop(Conn conn, Slot& slot, CloseReason reason);
  void reap(Conn conn);
  void free_place(std::uint32_t index);

  Loop& loop_;
  Owner& owner_;
  const std::uint8_t source_;
  int listener_ = -1;
  std::uint32_t max_connections_ = Loop::kMaxIndex;
  Chunked<Slot> slots_;
  std::vector<std::uint32_t> free_;
  std::vector<Conn> dead_;  // to be told to the owner at the end of the turn
  std::uint32_t live_ = 0;
  std::uint64_t refused_ = 0;
  bool shared_ = false;  // see share()
  Bytes scratch_;  // what one read returns
};

}  // namespace godwit::io
