// Stage: the crowds of a process, and the commands that they are given.
//
// A command is a line; its answer is a line of JSON. While it runs, a progress line goes to
// standard error. Blocks until the command is done, or nothing moves any more.
#pragma once

#include <sstream>
#include <string>

#include "apps/loadgen/crowd.h"

namespace godwit::loadgen {

class Stage {
 public:
  struct Options {
    std::string server;
    std::string people;  // file, written by `register`
    std::string codes;   // file, the server's
    std::uint32_t most = 0;  // connections
    std::uint32_t first = 0;  // user that connects
    Duration ping;
  };
  static constexpr std::string_view kCommands =
      "register N             N accounts, with codes from the server's file; writes the people "
      "file\n"
      "connect N              until users --first to N - 1 are connected\n"
      "load RATE SECONDS SIZE random pairs write RATE messages a second of SIZE octets\n"
      "flood N SECONDS SIZE   the same with N messages under way at any time\n"
      "pairs N WINDOW SECONDS SIZE     user 2i writes to 2i + 1, WINDOW messages under way each\n"
      "pace N RATE SECONDS SIZE        the same at RATE messages a second, all together\n"
      "store N WINDOW FIRST COUNT MESSAGES SIZE\n"
      "                       users 0 to N - 1 write to COUNT users that are not connected\n"
      "drain FIRST END        users FIRST to END - 1 connect, and receive what was stored\n"
      "idle SECONDS           pings only\n";

  static Result<std::unique_ptr<Stage>> create(const Options& options);
  ~Stage();

  // The answer, or an error whose text is for the user.
  Result<std::string> command(const std::string& line);
  // What the server said when it refused what the last command needs; mostly empty.
  const std::string& said() const { return said_; }

 private:
  explicit Stage(const Options& options, const io::Address& server);
  std::uint64_t sum(std::atomic<std::uint64_t> Crowd::Tally::* figure) const;
  Result<std::string> register_users(std::uint32_t count);
  Result<std::string> connect_users(std::uint32_t count);
  Result<std::string> idle(std::uint32_t seconds);
  Result<std::string> messages(Plan plan, std::uint32_t seconds);
  Result<std::string> store(Plan plan, std::uint32_t count);
  Result<std::string> drain(std::uint32_t first, std::uint32_t end);
  Result<std::string> write(const std::string& verb, std::istringstream& words);
  // Gives the crowds their parts of it, of at most `most` messages.
  void begin(Plan& plan, std::uint32_t most);
  void connect_range(std::uint32_t first, std::uint32_t end);
  std::string fates(double rate) const;
  // Why phones do not get anywhere.
  Error trouble();
  // Waits until `figure` is `target`, or has not moved for a while: a shorter one when it never
  // moved and connections fail.
  void await(const char* what, std::atomic<std::uint64_t> Crowd::Tally::* figure,
             std::uint64_t target) const;

  const Options options_;
  Scene scene_;
  std::uint32_t connected_ = 0;
  // Of the last messages: their ledger, and the figures before.
  std::shared_ptr<Ledger> ledger_;
  struct {
    std::uint64_t accepted = 0, delivered = 0, duplicated = 0, refused = 0;
  } before_;
  std::vector<std::unique_ptr<Crowd>> crowds_;
  std::string said_;
};

}  // namespace godwit::loadgen
