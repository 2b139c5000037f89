// ServerLink: a client's connection to its server: TCP, the Noise handshake, frames.
//
// The first handshake is XX and its server key is trusted on first use; afterwards IK with the
// pinned key, which saves a round trip. A server that fails IK is asked once more with XX, only to
// learn whether its key changed: then the link refuses before it shows who we are.
//
// Frames of one turn leave together: send() collects, flush() seals. Nothing is repeated here:
// what is lost with a connection, the engine sends again.
//
// Lives on the loop's thread. Resolving a name blocks that thread.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/entropy.h"
#include "io/tcp.h"
#include "proto/frame.h"
#include "proto/noise.h"

namespace godwit::runtime {

enum class LinkFault : std::uint8_t {
  kNone,
  kUnreachable,  // no address, refused, timed out, broken
  kServerKey,    // the server's key is not the pinned one
  kProtocol,     // it does not speak our protocol, or another version
  kEnded,        // one side ended it with a reason, e.g. another device took the account
};

class ServerLink final : private io::Tcp::Owner {
 public:
  class Owner {
   public:
    virtual ~Owner() = default;
    // The handshake is done; `server` is the key to pin.
    virtual void on_link_up(const crypto::CurvePoint& server) = 0;
    virtual void on_link_frame(proto::Frame frame) = 0;
    // Told once per open(), from the loop or from open() itself.
    virtual void on_link_down(LinkFault fault, std::string reason) = 0;
  };

  ServerLink(io::Loop& loop, Entropy& entropy, Owner& owner);

  // Starts connecting; ends in on_link_up or on_link_down. `pinned` as it was learnt before.
  void open(const std::string& host_and_port, const crypto::KeyPair& own,
            const std::optional<crypto::CurvePoint>& pinned);
  void send(const proto::Frame& frame);
  void flush();
  void close();

  bool up() const { return state_ == State::kUp; }
  bool down() const { return state_ == State::kDown; }

 private:
  enum class State : std::uint8_t { kDown, kConnecting, kHandshake, kUp };

  void on_connected(io::Conn conn) override;
  std::size_t on_octets(io::Conn conn, ByteView octets) override;
  void on_closed(io::Conn conn, io::CloseReason reason) override;

  void try_next_address();
  void begin_handshake();
  void write_handshake();
  void on_record(ByteView record);
  void on_handshake(ByteView record);
  void ask_for_key();
  void finish_handshake();
  void put_record(ByteView record);
  // Ends the connection and tells the owner.
  void fail_link(LinkFault fault, std::string reason);

  io::Loop& loop_;
  Entropy& entropy_;
  Owner& owner_;
  io::Tcp tcp_;
  State state_ = State::kDown;
  io::Conn conn_;
  std::vector<io::Address> addresses_;
  std::size_t next_address_ = 0;
  crypto::KeyPair own_;
  std::optional<crypto::CurvePoint> pinned_;
  bool ask_key_ = false;  // IK failed: XX next, to learn the server's present key
  bool ik_ = false;       // the handshake under way
  std::optional<proto::NoiseHandshake> handshake_;
  std::optional<proto::NoiseChannel> channel_;
  proto::FrameReader reader_;
  io::Loop::TimerId timer_ = 0;
  Bytes stream_;  // frames of this turn, not yet sealed
  Bytes wire_;
};

}  // namespace godwit::runtime
