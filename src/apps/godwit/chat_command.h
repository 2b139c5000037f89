// `godwit chat`: one conversation, with a person or in a group, as a stream of JSON lines both
// ways. The full-screen view draws it (chat_view.h); with --json a program may drive it.
//
//   to the chat     {"send":"text"}   {"react":"id","emoji":"…"}   {"older":true}   {"read":true} …
//   from the chat   chat, message, erased, page, status, typing, unread, connection, …
//   (docs/cli.md)
#pragma once

#include <map>
#include <set>

#include "apps/godwit/command.h"
#include "apps/godwit/group_news.h"

namespace godwit::cli {

class ChatCommand final : public Command {
 public:
  ChatCommand(Context context, Options options)
      : Command(std::move(context), std::move(options)), fading_(client_.loop()) {}

  void start() override;
  void on_event(const client::Event& event) override;
  void on_commit_failed(Error error) override;
  void on_committed() override;
  void on_link_failed() override { tell_connection(); }
  void on_input(std::string_view octets) override;
  void on_input_end() override { console_.finish(kExitOk); }
  void on_interrupt() override { console_.finish(kExitOk); }

 private:
  void open();
  // What was said and is not stored yet.
  struct Composed {
    MessageId id;
    std::string text;
    Instant composed;
  };

  void tell_chat();
  void tell_connection();
  void tell_unread();
  void tell_typing();
  // A message again, as it is now; nothing when it is not here.
  void tell_changed(MessageId id);
  void tell_status(const client::StatusChanged& change);
  void tell_info(const client::Message& message);

  void obey(std::string_view line);
  // False: the wish is none that this is for.
  bool obey_simple(const Json& wish);
  Result<bool> obey_act(const Json& wish);
  Result<void> on_message(const Json& wish, const client::Message& message);
  void send(const Json& wish);
  Result<void> send(client::Text text);
  Result<void> act(const client::Message& message, client::Act act);
  Result<void> forward(const Json& wish, const client::Message& message);
  Result<void> disappear(const std::string& time);
  void tell_news(const client::GroupChanged& change);
  void search(const std::string& words);
  void older();
  void mark_read();
  bool is_here(const std::string& phone, client::ChatId chat) const;

  client::Recipient with_;
  client::ChatId chat_;  // nil until the contact is known
  Bytes before_;  // where the page before the oldest one told ends
  bool begun_ = false;
  bool more_ = false;  // there is such a page
  std::string input_;
  std::vector<Composed> composed_;  // in this turn: told when they are stored
  std::set<MessageId> mine_;  // sent here, perhaps before the chat's user was known
  std::set<MessageId> starred_;  // so, and taken off
  bool open_ = false;  // it is known whom it is with
  bool settled_ = false;  // the chat was changed, so
  std::set<std::string> numbers_;  // of the group, as told
  GroupTeller group_;
  std::map<std::string, Instant> typing_;  // who composes, and until when it is believed
  Timer fading_;
};

}  // namespace godwit::cli
