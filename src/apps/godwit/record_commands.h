// The commands that look something up in this home: history, contacts, status, verify.
#pragma once

#include <vector>

#include "apps/godwit/command.h"

namespace godwit::cli {

// `godwit history`: a conversation, oldest first. Pages are printed as the front-end takes them.
class HistoryCommand final : public Command {
 public:
  using Command::Command;
  void start() override;
  void on_written() override { pump(); }

 private:
  void pump();
  void print(const client::Message& message);

  client::ChatId chat_;
  std::vector<Bytes> pages_;  // where each page ends, the oldest last
  std::size_t skip_ = 0;      // messages of the oldest page beyond --limit
  std::string day_;
};

// `godwit contacts`: everybody this home has exchanged messages with.
class ContactsCommand final : public Command {
 public:
  using Command::Command;
  void start() override;

 private:
  void print(const client::Message& last, const client::Contact* contact);
};

// `godwit status`: who this home is and whether it can reach its server.
class StatusCommand final : public Command {
 public:
  StatusCommand(Context context, Options options);
  void start() override;
  void on_event(const client::Event& event) override;
  void on_link_failed() override { print(); }

 private:
  void print();
  Timer timeout_;
};

// `godwit verify`: the safety number, as digits and as a QR code.
class VerifyCommand final : public Command {
 public:
  using Command::Command;
  void start() override;
  void on_committed() override;

 private:
  void print();
  bool marking_ = false;
};

// One message of every chat, the newest, newest chat first.
Result<std::vector<client::Message>> newest_messages(ports::Store& store);

}  // namespace godwit::cli
