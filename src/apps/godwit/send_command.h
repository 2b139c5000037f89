// `godwit send`: composes one message, or one per line of stdin, and waits until each came as far
// as asked (sent, delivered, read). What was composed is in the store before anything is said
// about it; what the server does not have yet leaves with any later command of this home.
#pragma once

#include <map>
#include <vector>

#include "apps/godwit/command.h"

namespace godwit::cli {

class SendCommand final : public Command {
 public:
  SendCommand(Context context, Options options);

  void start() override;
  void on_event(const client::Event& event) override;
  void on_committed() override;
  void on_commit_failed(Error error) override;
  void on_link_failed() override;
  void on_input(std::string_view octets) override;
  void on_input_end() override;
  void on_interrupt() override;

 private:
  struct Waiting {
    std::uint64_t number = 0;  // of its line, from 1
    client::Status status = client::Status::kQueued;
    bool stored = false;
  };
  void begin();
  enum class Composed : std::uint8_t { kYes, kLater, kRefused };

  Composed compose(std::string_view text);
  void compose_lines();
  void advance(const client::StatusChanged& change);
  void report(const MessageId& id, const Waiting& message);
  void report_failure(const client::StatusChanged& change, std::uint64_t number);
  // Ends when nothing is left to compose or to wait for.
  void finish_if_done();
  void give_up(bool offline);
  void watch_connection();
  void show_progress(bool last);
  void summary();

  client::Recipient to_;
  client::Extras extras_;  // of every message
  client::Status target_ = client::Status::kSent;
  std::string input_;             // not composed yet
  std::uint64_t input_size_ = 0;  // octets of a whole-stdin message, kept or not
  bool input_ended_ = false;
  std::uint64_t number_ = 0;      // messages composed
  std::uint64_t arrived_ = 0;     // at the target
  std::uint64_t failed_ = 0;
  int failure_exit_ = kExitOk;
  std::map<MessageId, Waiting> waiting_;
  std::vector<MessageId> unstored_;
  Instant started_;
  bool progress_shown_ = false;
  Timer timeout_;   // by --timeout, or none left to hope for
  bool failed_link_ = false;  // when offline_ was set
  Timer offline_;   // how long to wait for a connection when nobody asked to wait
  Timer progress_;
};

}  // namespace godwit::cli
