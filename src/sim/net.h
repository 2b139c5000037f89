// Net: the connections between devices and the server, as TCP gives them: octets in order, late,
// or a reset that loses what is in flight, of which one end, both, or neither hears.
//
// Frames are encoded to octets at one end and cut again at the other; encryption is the edge's.
#pragma once

#include <deque>
#include <map>
#include <set>

#include "proto/frame.h"
#include "sim/timeline.h"
#include "sim/trace.h"

namespace godwit::sim {

using ConnectionId = std::uint64_t;
using DeviceIndex = std::uint32_t;

class Net {
 public:
  class Client {
   public:
    virtual ~Client() = default;
    virtual void connected(ConnectionId id) = 0;
    virtual void received(ConnectionId id, proto::Frame frame) = 0;
    virtual void disconnected(ConnectionId id) = 0;
  };
  class Server {
   public:
    virtual ~Server() = default;
    virtual bool listening() const = 0;
    // `nameless`: it proves a key that nobody has seen before.
    virtual void opened(ConnectionId id, DeviceIndex from, bool nameless) = 0;
    virtual void received(ConnectionId id, proto::Frame frame) = 0;
    virtual void closed(ConnectionId id) = 0;
  };
  struct Weather {
    Duration slowest = milliseconds(40);  // one way
    std::uint32_t resets = 0;             // frames in a thousand that end their connection
    std::uint32_t stalls = 0;             // frames in a thousand that wait for seconds
    std::uint32_t silent = 0;             // ends in a thousand that never hear of a reset
  };

  Net(Timeline& timeline, Entropy& entropy, Trace& trace)
      : timeline_(timeline), entropy_(entropy), trace_(trace) {}
  void attach_server(Server& server) { server_ = &server; }
  void set_weather(Weather weather) { weather_ = weather; }

  // Ends in connected() or disconnected().
  ConnectionId connect(DeviceIndex from, Client& client, bool nameless = false);
  void to_server(ConnectionId id, const proto::Frame& frame);
  void to_client(ConnectionId id, const SharedBytes& octets);
  // Delivers what `by` has sent, then closes; disconnected() and closed() follow.
  enum class End : std::uint8_t { kClient, kServer };
  void close(ConnectionId id, End by);

  // What is in flight is lost.
  void reset(ConnectionId id);
  void reset_all_of(DeviceIndex device);
  // A process ended; it hears nothing more.
  void client_gone(DeviceIndex device);
  void server_gone();
  // Nothing of this device arrives before `until`, either way.
  void cut(DeviceIndex device, Instant until) { cut_[device] = until; }
  void heal() { cut_.clear(); }
  // Airplane mode: connections break, and none is made.
  void set_offline(DeviceIndex device, bool offline);

  bool idle() const;
  std::uint64_t resets() const { return resets_; }

 private:
  struct Pipe {
    std::deque<Bytes> in_flight;  // an empty one is the end of the stream
    std::size_t octets = 0;
    Instant last;  // arrivals are in order
    proto::FrameReader reader;
  };
  struct Connection {
    DeviceIndex device = 0;
    Client* client = nullptr;  // null: that end is gone, or has been told the end
    bool server = false;       // the server's end is open
    bool closing = false;      // nothing more is sent
    bool broken = false;       // nothing arrives any more; an end may not know
    bool open() const { return !closing && !broken; }
    Pipe up;
    Pipe down;
  };

  void send(ConnectionId id, Pipe& pipe, bool up, Bytes octets);
  void arrive(ConnectionId id, bool up);
  void deliver(ConnectionId id, bool up, const Bytes& octets);
  void tell_client(ConnectionId id);
  void tell_server(ConnectionId id);
  void break_up(Connection& connection, ConnectionId id);
  Duration latency() { return between(entropy_, milliseconds(1), weather_.slowest); }

  Timeline& timeline_;
  Entropy& entropy_;
  Trace& trace_;
  Server* server_ = nullptr;
  Weather weather_;
  std::map<ConnectionId, Connection> connections_;
  std::map<DeviceIndex, Instant> cut_;
  std::set<DeviceIndex> offline_;
  ConnectionId next_ = 1;
  std::uint64_t resets_ = 0;
};

}  // namespace godwit::sim
