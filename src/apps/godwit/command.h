// Command: one thing that a person asked `godwit` to do, as a state machine over the home's one
// client. Several run side by side in a host, each with a console of its own.
//
// A command never blocks: it is told what happens and ends by finish(). The host destroys it after
// that, or when its front-end went away.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "apps/godwit/exit_code.h"
#include "apps/godwit/options.h"
#include "apps/godwit/output.h"
#include "apps/godwit/packet.h"
#include "apps/godwit/unshown.h"
#include "runtime/client_runtime.h"

namespace godwit::cli {

// Where a command's words go, and where its input comes from.
class Console {
 public:
  virtual ~Console() = default;
  virtual const Terminal& terminal() const = 0;
  virtual void out(std::string_view octets) = 0;
  virtual void err(std::string_view octets) = 0;
  // Octets of out() handed over so far, and how many of them the front-end has written.
  virtual std::uint64_t out_given() const = 0;
  virtual std::uint64_t out_written() const = 0;
  // Asks for one piece of stdin: answered by on_input or on_input_end.
  virtual void want_input() = 0;
  // The command is done. Only the first call counts.
  virtual void finish(int exit_code) = 0;
};

// One timer that dies with its owner.
class Timer {
 public:
  explicit Timer(io::Loop& loop) : loop_(loop) {}
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;
  ~Timer() { clear(); }
  void set(Duration wait, io::Loop::Task task) {
    clear();
    id_ = loop_.after(wait, [this, run = std::move(task)]() mutable {
      id_ = 0;
      auto last = std::move(run);
      last();
    });
  }
  void clear() {
    if (id_ != 0) loop_.cancel(std::exchange(id_, 0));
  }
  bool armed() const { return id_ != 0; }

 private:
  io::Loop& loop_;
  io::Loop::TimerId id_ = 0;
};

struct Context {
  runtime::ClientRuntime& client;
  Console& console;
  Unshown& unshown;
  std::string home;    // for messages to the person
  std::string server;  // as this front-end names it; empty: as saved
  bool view = false;
};

class Command {
 public:
  Command(Context context, Options options)
      : client_(context.client),
        console_(context.console),
        context_(std::move(context)),
        options_(std::move(options)) {}
  virtual ~Command() = default;
  Command(const Command&) = delete;
  Command& operator=(const Command&) = delete;

  virtual void start() = 0;
  virtual void on_event(const client::Event&) {}
  virtual void on_committed() {}
  virtual void on_commit_failed(Error error) { refuse(error); }
  virtual void on_link_failed() {}
  virtual void on_input(std::string_view) {}
  virtual void on_input_end() {}
  virtual void on_written() {}
  virtual void on_interrupt() { console_.finish(kExitInterrupted); }

 protected:
  // Prints the error in the form that was asked for, and finishes.
  void refuse(Exit exit, std::string_view code, const std::string& text);
  void refuse(Error error) { refuse(exit_of(error.code), code_name(error.code), said(error)); }
  // Prints an error without finishing.
  void complain(std::string_view code, const std::string& text);
  void emit(const Json& object) { console_.out(json_line(object)); }
  void line(const std::string& text) { console_.out(text + '\n'); }
  // A remark for people, on stderr; programs get none.
  void note(const std::string& text) {
    if (!options_.json) console_.err(text + '\n');
  }
  bool color() const { return console_.terminal().color; }
  Instant now() const { return client_.loop().now(); }
  // What people are called: their number.
  std::string name(UserId user) const;
  Names names() const {
    return [this](UserId user) { return name(user); };
  }
  // The group of this name or id (group_command.h); nullopt after an error.
  std::optional<client::GroupView> named_group(const std::string& name);
  // Whom a number, or a group's name or id, means; nullopt after an error.
  std::optional<client::Recipient> recipient(const std::string& text);
  // Calls `then` when it is known whom this means, or will hardly be: who has just been added to a
  // group learns its name from the server.
  void when_known(const std::string& text, std::function<void()> then);
  // Their chat; nil: there is none yet.
  client::ChatId chat_of(const client::Recipient& recipient) const;
  // As people know it: a group's name, or a number.
  std::string chat_name(client::ChatId chat, const std::string& phone) const;
  // The one message that options_.message means; nullopt after an error.
  std::optional<client::Message> find_message(const std::string& id);
  // False, after an error, when this home has no account.
  bool require_account();
  // Why messages to this number wait, although there is a connection; empty when they need not.
  std::string held_reason(const std::string& phone) const;
  bool online() const { return client_.link() == runtime::ClientRuntime::Link::kOnline; }
  // Nothing answers where the server is, or the connection broke; it is being tried again.
  bool unreachable() const {
    return !online() && client_.link_fault() != runtime::LinkFault::kNone;
  }
  // How long somebody is kept waiting for what is queued and would leave by itself: a server that
  // is restarted is back within the shorter time, a slow network answers within the longer one.
  Duration offline_patience() const { return unreachable() ? seconds(1) : seconds(5); }
  // Why it is queued and nothing more.
  std::string why_queued() const;
  // False, after an error, when the connection failed for a reason that waiting cannot cure.
  bool link_may_recover();

  runtime::ClientRuntime& client_;
  Console& console_;
  const Context context_;
  const Options options_;

 private:
  static std::string said(Error error);
  void look_for(const std::string& text, Instant until, std::function<void()> then);
  Timer look_{client_.loop()};
};

std::unique_ptr<Command> make_command(Context context, Options options);

// "3.5 s" for people.
std::string seconds_text(Duration duration);

}  // namespace godwit::cli
