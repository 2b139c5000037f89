// The commands that do something with messages and chats, and those that look messages up.
#pragma once

#include <map>
#include <vector>

#include "apps/godwit/command.h"

namespace godwit::cli {

// `react`, `edit`, `delete`, `forward`, `pin`, `star`, `vote`, `poll`, `open`, `archive`, `mute`,
// `draft`, `disappear`, `settings`, `broadcast`: does it, and waits a little until the server has
// what has to go there.
class ActCommand final : public Command {
 public:
  ActCommand(Context context, Options options);
  void start() override;
  void on_event(const client::Event& event) override;
  void on_committed() override;
  void on_link_failed() override;

 private:
  Result<void> perform();
  Result<void> on_message(const client::Message& message);
  Result<void> on_chat(const client::Recipient& to, client::ChatId chat);
  Result<void> broadcast();
  Result<void> settings();
  Result<void> act(const client::Message& message, client::Act act);
  Result<void> vote(const client::Message& message);
  Result<void> send(const client::Recipient& to, client::Text text);
  void wait();
  void report(bool queued);

  Json result_;                     // what is told when it is done
  std::string said_;                // the same for people
  std::vector<Json> rows_;          // of a list
  std::map<MessageId, Json> sent_;  // messages that this command sends
  bool acted_ = false;
  bool committed_ = false;
  bool leaves_ = false;  // something goes to the server
  Instant patience_;  // until then
  Timer again_;
};

// `search`, `starred`, `info`.
class FindCommand final : public Command {
 public:
  using Command::Command;
  void start() override;

 private:
  void print(const client::Message& message);
  void info(const client::Message& message);
};

// "24h", "7d", "90m", "30s", "off": nullopt when it is none of these.
std::optional<Duration> parse_lifetime(std::string_view text);
// A quote of the message whose id begins so.
Result<client::Quote> quote_of(const std::string& id, ports::Store& store);
// The numbers after an @, each once: "@+33612345678".
std::vector<std::string> mentions_in(std::string_view text);
// What `send` and its options mean. kInvalid: a message to answer that is not there, a bad place.
Result<client::Extras> extras_of(const Options& options, ports::Store& store);

}  // namespace godwit::cli
