// Host: the process that owns a home. It keeps the one client and runs every command that the
// front-ends of this home send it, each over its own Unix-socket connection.
//
// It lives as long as a front-end is connected, and a moment longer while the client still owes
// the server something. Nothing is printed here: words go to the front-ends.
//
// Invariants:
//   * one host per home, by the lock that serve() takes;
//   * a front-end that stops reading holds up its own command, never the others;
//   * a command ends with its front-end, and what it did not show stays unshown.
#pragma once

#include <map>
#include <memory>

#include "apps/godwit/command.h"
#include "apps/godwit/home.h"

namespace godwit::cli {

class Host final : private io::Source, private runtime::ClientRuntime::Listener {
 public:
  // `listener` is the home's listening socket, -1 for none; the host closes it.
  static Result<std::unique_ptr<Host>> create(io::Loop& loop, ports::Store& store, Entropy& entropy,
                                              std::string home, int listener);
  ~Host() override;

  // Takes a connected socket of a front-end.
  void adopt(int fd);
  // Runs until no front-end is left.
  void run();

 private:
  class Session;

  Host(io::Loop& loop, std::string home, int listener);
  void on_ready(std::uint32_t index, std::uint32_t generation, std::uint32_t events) override;
  void on_turn_end() override;
  void on_event(const client::Event& event) override;
  void on_committed() override;
  void on_commit_failed(Error error) override;
  void on_link_failed() override;
  void on_store_lost(Error error) override;
  template <typename Visit>
  void each_command(Visit visit);
  void accept_all();
  void begin(Session& session, const Start& start);
  // Every front-end is gone: stops, once the client owes nothing or time is over.
  void leave_if_idle();

  io::Loop& loop_;
  std::uint8_t source_ = 0;
  int listener_ = -1;
  std::string home_;
  std::unique_ptr<runtime::ClientRuntime> client_;
  std::unique_ptr<Unshown> unshown_;
  std::map<std::uint32_t, std::unique_ptr<Session>> sessions_;
  std::uint32_t next_index_ = 1;
  std::optional<Instant> idle_since_;
  std::unique_ptr<Timer> idle_timer_;
};

}  // namespace godwit::cli
