// One front-end at its host: the socket, the packets, the command and its console.
#pragma once

#include "apps/godwit/command.h"
#include "apps/godwit/host.h"

namespace godwit::cli {

class Host::Session final : public Console {
 public:
  Session(Host& host, int fd, std::uint32_t index) : host_(host), fd_(fd), index_(index) {}
  ~Session() override;

  void on_ready(std::uint32_t events);
  // Sends what waits. After that the session may be over().
  void flush();
  bool over() const { return gone_ || (ended_ && out_.empty()); }
  Command* command() { return ended_ || gone_ ? nullptr : command_.get(); }
  int fd() const { return fd_; }
  void run(std::unique_ptr<Command> command);
  void set_terminal(const Terminal& terminal) { terminal_ = terminal; }

  const Terminal& terminal() const override { return terminal_; }
  void out(std::string_view octets) override;
  void err(std::string_view octets) override;
  std::uint64_t out_given() const override { return given_; }
  std::uint64_t out_written() const override { return written_; }
  void want_input() override;
  void finish(int exit_code) override;

 private:
  void read_some();
  void on_packet(const Packet& packet);
  void put(PacketKind kind, std::string_view octets);
  void watch();

  Host& host_;
  const int fd_;
  const std::uint32_t index_;
  Terminal terminal_;
  PacketReader reader_;
  Bytes out_;
  std::size_t out_used_ = 0;
  std::unique_ptr<Command> command_;
  std::uint64_t given_ = 0;
  std::uint64_t written_ = 0;
  bool ended_ = false;  // the command has finished
  bool gone_ = false;   // the front-end has
  bool write_watched_ = false;
};

}  // namespace godwit::cli
