// Peer: one client's connection to another kind of server, and the Dialect that it speaks there.
//
// For measurements next to godwit only: a Dialect knows as much of its protocol as registering,
// connecting, one message from one user to another, and its acknowledgement need. What a server
// says is trusted; what is not understood ends the connection.
//
// One thread.
#pragma once

#include <openssl/ssl.h>

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <string_view>

namespace peerload {

struct Peer {
  int fd = -1;
  SSL* tls = nullptr;
  std::uint32_t user = 0;
  bool ready = false;
  bool secured = false;
  bool waits_to_write = false;
  std::uint8_t step = 0;       // of the dialect's way to ready
  std::uint16_t packet = 0;    // MQTT: the last packet identifier
  std::uint32_t handled = 0;   // XMPP: stanzas received since stream management is on
  std::uint32_t confirmed = 0;  // XMPP: own stanzas that the server has acknowledged
  std::deque<std::uint32_t> unconfirmed;  // numbers of messages, oldest first
  std::string in, out;
};

// What a dialect tells, as it reads.
class Listener {
 public:
  virtual ~Listener() = default;
  virtual void on_ready(Peer& peer) = 0;
  virtual void on_accepted(Peer& peer, std::uint32_t number) = 0;  // the server has taken it
  virtual void on_received(Peer& peer, std::string_view payload) = 0;
  virtual void on_joined(Peer& peer) = 0;  // a room
};
inline constexpr std::uint32_t kNoMessage = UINT32_MAX;  // a stanza without a number

class Dialect {
 public:
  virtual ~Dialect() = default;
  // The connection stands. With TLS: true when the handshake comes first, else call secure later.
  virtual bool tls_first() const { return true; }
  virtual void begin(Peer& peer) = 0;
  // Uses up whole units of `in`, and says how much that was; npos: this cannot go on.
  virtual std::size_t take(Peer& peer, std::string_view in) = 0;
  virtual void publish(Peer& peer, std::uint32_t to, std::uint32_t number,
                       std::string_view payload) = 0;
  // Rooms, where there are any: everybody in one gets what is said there.
  virtual void join(Peer&, std::string_view) {}
  virtual void say(Peer&, std::string_view, std::uint32_t, std::string_view) {}
};

struct DialectOptions {
  bool registers = false;  // XMPP: registers users instead of logging in
  bool persistent = false;  // MQTT: a session that outlives the connection
};
// `name`: mqtt, nats, jetstream or xmpp; else null.
std::unique_ptr<Dialect> make_mqtt(Listener& listener, const DialectOptions& options);
std::unique_ptr<Dialect> make_nats(Listener& listener, bool jetstream);
std::unique_ptr<Dialect> make_xmpp(Listener& listener, const DialectOptions& options);

}  // namespace peerload
