// FrontEnd: this process's half of a command: it passes stdin to the host, writes what comes back,
// and confirms what it wrote. It blocks on the terminal so that the host never has to.
#pragma once

#include <deque>
#include <string>

#include "apps/godwit/packet.h"

namespace godwit::cli {

// What the host cannot say about itself.
enum class Outcome : std::uint8_t {
  kEnded,     // the command ended: exit_code
  kNotTaken,  // the host went before it took the command: find or start another one
  kLost,      // the host went while the command ran
};

// Where a command's words go. The plain one is stdin, stdout, stderr.
class Screen {
 public:
  virtual ~Screen() = default;
  // False when stdout is closed.
  virtual bool out(std::string_view octets) = 0;
  virtual void err(std::string_view octets) = 0;
  // The descriptor to wait on for input; -1 when there is none.
  virtual int input_fd() const = 0;
  // It is readable. Input for the host is appended; false at the end of the input.
  virtual bool read(std::string& input) = 0;
  // True: read without being asked by the host.
  virtual bool eager() const { return false; }
  virtual void on_resize() {}
  // Called before each wait: draw what changed.
  virtual void refresh() {}
  // Input for the host that came up without anything being read.
  virtual std::string wishes() { return {}; }
};

class PlainScreen final : public Screen {
 public:
  bool out(std::string_view octets) override;
  void err(std::string_view octets) override;
  int input_fd() const override { return 0; }
  bool read(std::string& input) override;
};

class FrontEnd {
 public:
  FrontEnd(int host_fd, Screen& screen) : host_(host_fd), screen_(screen) {}
  ~FrontEnd();
  Outcome run(const Start& start);
  int exit_code() const { return exit_code_; }
  // Why the host could not run the command at all; empty when it could.
  const std::string& refusal() const { return refusal_; }

  // Makes SIGINT, SIGTERM and SIGWINCH wake run(). Once per process, before any run().
  static void catch_signals();

 private:
  bool on_host_readable();
  // False: the command has ended.
  bool on_packet(const Packet& packet);
  void on_signal();
  void read_input();
  void put(PacketKind kind, ByteView body = {});

  const int host_;
  Screen& screen_;
  PacketReader reader_;
  std::uint64_t written_ = 0;
  bool taken_ = false;
  bool input_wanted_ = false;
  bool input_ended_ = false;
  bool broken_ = false;  // the host is gone
  bool unheard_ = false;  // the host reads no more; its last words may still be on their way
  int interrupts_ = 0;
  int exit_code_ = 0;
  std::string refusal_;
};

}  // namespace godwit::cli
