// `godwit chat`: one conversation as a stream of JSON lines both ways. The full-screen view draws
// it (chat_view.h); with --json a program may drive it.
//
//   to the chat     {"send":"text"}   {"older":true}   {"read":true}
//   from the chat   chat, message, page, status, connection, identity, error (docs/cli.md)
#pragma once

#include <set>

#include "apps/godwit/command.h"

namespace godwit::cli {

class ChatCommand final : public Command {
 public:
  using Command::Command;

  void start() override;
  void on_event(const client::Event& event) override;
  void on_commit_failed(Error error) override;
  void on_committed() override;
  void on_link_failed() override { tell_connection(); }
  void on_input(std::string_view octets) override;
  void on_input_end() override { console_.finish(kExitOk); }
  void on_interrupt() override { console_.finish(kExitOk); }

 private:
  void tell_connection();
  void obey(std::string_view line);
  void send(const std::string& text);
  void older();
  void mark_read();
  bool is_here(const std::string& phone, client::ChatId chat) const;

  client::ChatId chat_;        // nil until the contact is known
  Bytes before_;       // where the page before the oldest one told ends
  bool begun_ = false;
  bool more_ = false;  // there is such a page
  std::string input_;
  std::vector<client::Message> composed_;  // in this turn: told when they are stored
  std::set<MessageId> mine_;               // sent here, perhaps before the chat's user was known
};

}  // namespace godwit::cli
