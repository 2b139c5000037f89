// `godwit group …`: makes and changes groups, and shows them. A change is in the store before
// anything is said about it; the command waits until the server has it.
#pragma once

#include "apps/godwit/command.h"

namespace godwit::cli {

// The group of this name or id, also after "group:". A name need not be written with its capitals
// and accents, nor an id beyond its first four digits, as long as it means one group; of several,
// the only one that this account is in. kNotFound: none; kConflict: several.
Result<client::GroupView> find_group(const client::Engine& engine, const std::string& name);

class GroupCommand final : public Command {
 public:
  GroupCommand(Context context, Options options);
  void start() override;
  void on_event(const client::Event& event) override;
  void on_link_failed() override;

 private:
  bool says_what();
  // Gives up after `patience`; when there is a connection, only after `then` more.
  void wait(Duration patience, Duration then);
  void act();
  void ask(client::Engine::GroupAct act, const std::string& phone);
  void act_on_link();
  void act_on_info();
  void answer_pending(bool let_in);
  void save_picture(const client::GroupView& group);
  void expect(const Result<void>& asked);
  void print(const client::GroupView& group, bool with_members);
  void print_link(const client::GroupView& group);
  void finish();
  client::GroupView view() const;

  GroupId group_;
  std::size_t pending_ = 0;  // changes asked for, and not made yet
  std::string failure_;
  bool failed_ = false;  // to connect
  Timer timeout_;
};

}  // namespace godwit::cli
