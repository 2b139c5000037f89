// Connection: when to connect, what was asked, and when to give up waiting.
//
// It counts time, not octets: the edge owns the socket. Every request has a deadline; one that
// passes means that the connection is dead, whatever the operating system believes.
//
// The nameless one is never attached, tells nobody how it goes, and ends when it is not used.
#pragma once

#include <map>

#include "base/backoff.h"
#include "client/keepalive.h"
#include "client/turn.h"
#include "proto/frame.h"

namespace godwit::client {

// What an answer needs to find its way.
struct Request {
  proto::Kind kind{};
  UserId user;        // kFetchBundles, kSubmit: whose
  std::string phone;  // kLookup
  GroupId group;      // kChangeGroup, kFetchGroup, kSubmitGroup
  Instant deadline;
};

class Connection {
 public:
  explicit Connection(Line line = Line::kOwn) : line_(line) {}

  // True: keep a connection, from now on.
  void want(bool wanted) { wanted_ = wanted; }
  // Connects if that is wanted and due.
  void pump(Turn& turn);
  bool open() const { return phase_ == Phase::kOpen || phase_ == Phase::kAttached; }
  bool attached() const { return phase_ == Phase::kAttached; }

  void on_connected(Turn& turn);
  void on_attached(Turn& turn);
  void on_disconnected(Turn& turn);
  // The server said something: it is there, and need not be asked for a while. But a ping repeats
  // the cursor, too, by which the server notices a delivery that was lost: one goes out now and
  // then however much is heard.
  void on_heard(Instant now) { quiet_since_ = now; }

  // Sends a request. Only while open().
  void ask(Request request, Bytes body, Turn& turn);
  void tell(proto::Kind kind, Bytes body, Turn& turn);
  // The request that this answer is for; nullopt: there is none.
  std::optional<Request> answered(std::uint64_t id);

  // Ends the connection; `reason` is told. Not before `retry_after` again.
  void drop(std::string reason, Turn& turn, Duration retry_after = {});
  // Ends it for good: the server does not know this device any more.
  void give_up(std::string reason, Turn& turn);

  // Notices dead connections. True: a ping is due.
  bool on_tick(Turn& turn);
  void on_clock_set_back(Instant now);
  Instant deadline() const;
  std::uint64_t reconnects() const { return reconnects_; }
  // When it tries again; kNever while there is a connection, or none is wanted.
  Instant next_try() const { return phase_ == Phase::kOffline && wanted_ ? next_try_ : kNever; }
  // True while something else than a ping waits for its answer.
  bool busy() const;

 private:
  Duration patience() const;  // with a line on which nothing is said
  Instant next_ping() const;  // of the nameless one: its end

  enum class Phase : std::uint8_t { kOffline, kConnecting, kOpen, kAttached, kClosing, kGivenUp };

  const Line line_;
  Phase phase_ = Phase::kOffline;
  bool wanted_ = false;
  std::optional<bool> told_online_;
  std::string reason_;
  Backoff backoff_{limits::kBackoffFirst, limits::kBackoffMax};
  Instant next_try_;
  std::uint64_t reconnects_ = 0;
  Duration retry_after_;
  Keepalive keepalive_;
  Instant quiet_since_;
  Instant pinged_;  // or attached
  std::uint64_t next_id_ = 1;
  std::map<std::uint64_t, Request> requests_;  // ids and deadlines grow together
};

// What a server may ask for, made sane.
Duration clamped(Duration retry_after);

}  // namespace godwit::client
