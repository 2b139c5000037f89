// `godwit receive`: prints each received message once, oldest first, over all runs.
//
// A message counts as printed when the front-end has written it (unshown.h). With --count or
// --timeout, what lies beyond stays for the next run. Receipts are printed as they come, in --json
// and with --follow; they are not kept.
#pragma once

#include <deque>
#include <set>

#include "apps/godwit/command.h"
#include "apps/godwit/group_news.h"

namespace godwit::cli {

class ReceiveCommand final : public Command {
 public:
  ReceiveCommand(Context context, Options options);
  ~ReceiveCommand() override;

  void start() override;
  void on_event(const client::Event& event) override;
  void on_committed() override {}
  void on_commit_failed(Error error) override;
  void on_link_failed() override;
  void on_written() override;
  void on_interrupt() override { end(kExitInterrupted); }

 private:
  struct Printed {
    std::uint64_t order = 0;
    std::uint64_t octets = 0;  // of stdout, up to the end of this message
    client::ChatId chat;
  };

  void pump();
  void print(const Unshown::Entry& entry);
  void print(const client::StatusChanged& change);
  void print(const client::GroupChanged& change);
  void print(const client::MessageChanged& change);
  void wait_for_quiet();
  // The time is over, or the queue is drained.
  void timed_out();
  void end(int exit_code);
  bool drains() const { return !options_.follow && options_.count == 0; }

  std::deque<Unshown::Entry> ahead_;   // taken, not printed
  std::deque<Printed> printed_;        // not confirmed
  std::size_t count_ = 0;              // printed
  std::map<GroupId, GroupTeller> groups_;
  std::set<client::ChatId> to_mark_read_;
  int ending_ = -1;  // the exit code, once everything printed is confirmed
  Timer quiet_;
  Timer timeout_;
  Timer again_;      // in line behind another reader
};

}  // namespace godwit::cli
