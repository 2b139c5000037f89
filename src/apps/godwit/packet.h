// What a front-end (the process at the person's terminal) and a host (the process that owns the
// home) say to each other over a Unix socket: u32 big-endian length || kind || body.
//
// Output is confirmed: a front-end reports how many octets of stdout it has written, so that the
// host knows what was really shown. Input is asked for, a piece at a time: nobody reads ahead.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/codec.h"

namespace godwit::cli {

enum class PacketKind : std::uint8_t {
  // host to front-end
  kHello = 1,      // empty: the host has taken the connection
  kOut = 2,        // octets for stdout
  kErr = 3,        // octets for stderr
  kWantInput = 4,  // empty: send the next piece of stdin
  kExit = 5,       // Ended; the last packet
  // front-end to host
  kStart = 16,      // Start; the first packet
  kInput = 17,      // octets of stdin
  kInputEnd = 18,   // empty: stdin is at its end
  kInterrupt = 19,  // empty: the person pressed Ctrl-C
  kWritten = 20,    // Written
};

struct Packet {
  PacketKind kind{};
  Bytes body;
};

// How the front-end's terminal looks to a command.
struct Terminal {
  bool in_tty = false;
  bool out_tty = false;
  bool err_tty = false;
  bool color = false;  // on stdout
  std::uint32_t columns = 80;
  static void fields(auto& m, auto& field) {
    field(1, m.in_tty);
    field(2, m.out_tty);
    field(3, m.err_tty);
    field(4, m.color);
    field(5, m.columns);
  }
};

inline constexpr std::size_t kMaxArguments = 4096;
inline constexpr std::size_t kMaxArgument = 256 * 1024;  // a text on the command line
inline constexpr std::size_t kMaxPacket = 4 * 1024 * 1024;
inline constexpr std::size_t kInputPiece = 64 * 1024;

struct Start {
  std::vector<std::string> args;
  std::string server;  // by flag, environment or file; empty: the one saved at registration
  Terminal terminal;
  bool view = false;  // the front-end draws: `chat` speaks JSON with it
  static void fields(auto& m, auto& field) {
    field(1, m.args, kMaxArguments);
    field(2, m.server, 512);
    field(3, m.terminal);
    field(4, m.view);
  }
};

struct Written {
  std::uint64_t octets = 0;  // of stdout, since the start
  static void fields(auto& m, auto& field) { field(1, m.octets); }
};

struct Ended {
  std::uint32_t exit_code = 0;
  std::string refusal;  // why the host could not run the command at all; empty when it could
  static void fields(auto& m, auto& field) {
    field(1, m.exit_code);
    field(2, m.refusal, 1024);
  }
};

void put_packet(Bytes& stream, PacketKind kind, ByteView body = {});

// Cuts a stream into packets.
class PacketReader {
 public:
  void feed(ByteView octets) { append(buffer_, octets); }
  // nullopt: not whole yet. kTooLarge: over kMaxPacket.
  Result<std::optional<Packet>> next();

 private:
  Bytes buffer_;
  std::size_t used_ = 0;
};

}  // namespace godwit::cli
