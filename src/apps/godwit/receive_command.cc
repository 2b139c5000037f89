#include "apps/godwit/receive_command.h"

#include <algorithm>

#include "client/history.h"

namespace godwit::cli {
namespace {

constexpr Duration kQuiet = seconds(1);  // after this silence the queue counts as drained
constexpr Duration kConnectPatience = seconds(5);
constexpr Duration kInLine = milliseconds(200);
constexpr std::uint64_t kUnconfirmed = 256 * 1024;  // octets given to a front-end and not written

// Lines after the first are set in, so that a text cannot pose as another message.
std::string indented(const std::string& text, std::size_t by) {
  std::string out;
  for (const char c : text) {
    out += c;
    if (c == '\n') out.append(by, ' ');
  }
  return out;
}

}  // namespace

ReceiveCommand::ReceiveCommand(Context context, Options options)
    : Command(std::move(context), std::move(options)),
      quiet_(client_.loop()),
      timeout_(client_.loop()),
      again_(client_.loop()) {}

ReceiveCommand::~ReceiveCommand() { context_.unshown.release(this); }

void ReceiveCommand::start() {
  if (!require_account()) return;
  for (auto& group : client_.engine().groups()) {
    groups_.emplace(group.id, GroupTeller(std::move(group)));
  }
  client_.go_online();
  if (options_.timeout) timeout_.set(*options_.timeout, [this] { timed_out(); });
  if (drains()) wait_for_quiet();
  pump();
}

void ReceiveCommand::pump() {
  if (ending_ >= 0) return;
  if (!context_.unshown.take(this)) {
    again_.set(kInLine, [this] { pump(); });
    return;
  }
  while (console_.out_given() - console_.out_written() < kUnconfirmed) {
    if (options_.count != 0 && count_ == options_.count) {
      end(kExitOk);
      return;
    }
    if (ahead_.empty()) {
      auto next = context_.unshown.next();
      if (!next) {
        refuse(next.error());
        return;
      }
      if (next->empty()) return;
      std::ranges::move(*next, std::back_inserter(ahead_));
    }
    print(ahead_.front());
    ahead_.pop_front();
    if (drains()) wait_for_quiet();
  }
}

void ReceiveCommand::print(const Unshown::Entry& entry) {
  const client::Message& message = entry.message;
  if (options_.json) {
    emit(message_json(message, names()));
  } else if (options_.lines) {
    const bool tty = console_.terminal().out_tty;
    line(tty ? printable(message.text, true) : message.text);
  } else {
    const std::string time = short_time(message.composed, now());
    std::string from = who(message.phone, message.from);
    if (message.chat.is_group()) from = chat_name(message.chat, {}) + "  " + from;
    line(paint(Ink::kDim, time, color()) + "  " + paint(Ink::kCyan, from, color()) + "  " +
         indented(message_text(message, names()), time.size() + 2 + from.size() + 2));
  }
  ++count_;
  printed_.push_back({entry.order, console_.out_given(), message.chat});
}

void ReceiveCommand::print(const client::StatusChanged& change) {
  if (change.status != client::Status::kDelivered && change.status != client::Status::kRead) return;
  if (options_.json) {
    emit(receipt_json(change));
  } else if (options_.follow && !options_.lines) {
    const bool read = change.status == client::Status::kRead;
    line(paint(Ink::kDim, clock_time(now()), color()) + "  " +
         paint(read ? Ink::kBlue : Ink::kDim,
               std::string(tick(change.status)) + " " +
                   std::string(client::status_name(change.status)) + " by " +
                   who(change.phone, change.from),
               color()));
  }
}

void ReceiveCommand::print(const client::MessageChanged& change) {
  if (options_.json) return emit(change_json(change, names()));
  if (!options_.follow || options_.lines) return;
  const auto found = client::find_messages(client_.store(), id_text(change.act.target));
  const bool known = found && found->size() == 1 && !found->front().extras.view_once;
  std::string from = name(change.from);
  if (change.chat.is_group()) from = chat_name(change.chat, {}) + "  " + from;
  line(paint(Ink::kDim, clock_time(now()), color()) + "  " + paint(Ink::kCyan, from, color()) +
       "  " +
       paint(Ink::kDim,
             change_text(change, known ? printable(found->front().text, true) : std::string()),
             color()));
}

void ReceiveCommand::print(const client::GroupChanged& change) {
  const client::ChatId chat(change.group.id);
  const std::string& me = client_.engine().profile().phone;
  for (const std::string& text : groups_[change.group.id].tell(change, me)) {
    if (options_.json) {
      emit({{"type", "news"}, {"chat", who({}, chat)}, {"text", text}});
    } else if (!options_.lines) {
      line(paint(Ink::kDim, clock_time(now()), color()) + "  " +
           paint(Ink::kCyan, chat_name(chat, {}), color()) + "  " +
           paint(Ink::kDim, printable(text), color()));
    }
  }
}

void ReceiveCommand::on_event(const client::Event& event) {
  if (std::holds_alternative<client::MessageReceived>(event)) {
    // The host told Unshown. Print at the end of the burst, not for each of its messages.
    if (drains()) wait_for_quiet();
    if (!again_.armed() && ending_ < 0) again_.set({0}, [this] { pump(); });
  } else if (const auto* change = std::get_if<client::StatusChanged>(&event)) {
    if (ending_ < 0) print(*change);
  } else if (const auto* changed = std::get_if<client::MessageChanged>(&event)) {
    if (ending_ < 0 && !changed->from.is_nil()) print(*changed);
  } else if (const auto* identity = std::get_if<client::IdentityChanged>(&event)) {
    if (options_.json) {
      emit({{"type", "identity"},
            {"from", who(identity->phone, identity->user)},
            {"changed", true}});
    }
    note("The keys of " + who(identity->phone, identity->user) +
         " changed: a new phone, or somebody in between (godwit verify).");
  } else if (const auto* group = std::get_if<client::GroupChanged>(&event)) {
    if (drains()) wait_for_quiet();
    if (ending_ < 0) print(*group);
  } else if (const auto* lie = std::get_if<client::GroupRefused>(&event)) {
    const client::ChatId chat(lie->group);
    if (options_.json) emit({{"type", "refused"}, {"reason", lie->text}, {"chat", who({}, chat)}});
    note(chat_name(chat, {}) + ": " + printable(lie->text) + ".");
  } else if (const auto* refused = std::get_if<client::SenderRefused>(&event)) {
    if (options_.json) emit({{"type", "refused"}, {"reason", refused->text}});
    note("A message was refused and not shown: " + refused->text + ".");
  } else if (std::holds_alternative<client::ConnectionChanged>(event)) {
    if (drains()) wait_for_quiet();
  }
}

void ReceiveCommand::on_written() {
  std::uint64_t order = 0;
  while (!printed_.empty() && printed_.front().octets <= console_.out_written()) {
    order = printed_.front().order;
    to_mark_read_.insert(printed_.front().chat);
    printed_.pop_front();
  }
  if (order != 0) {
    if (const auto stored = context_.unshown.shown(order); !stored) {
      refuse(stored.error());
      return;
    }
    if (options_.read) {
      for (const client::ChatId chat : std::exchange(to_mark_read_, {})) {
        // A refusal costs a receipt, not a message.
        (void)client_.act(
            [&](auto& engine, Env& env, auto& out) { return engine.mark_read(chat, env, out); });
      }
    }
  }
  if (ending_ >= 0) end(ending_);
  else pump();
}

void ReceiveCommand::on_commit_failed(Error error) {
  complain(code_name(error.code), error.code == Code::kFull
                                      ? "the disk is full: messages stay on the server until "
                                        "there is room"
                                      : std::string(error.text));
  if (!options_.follow) end(kExitStore);
}

void ReceiveCommand::wait_for_quiet() {
  if (ending_ >= 0) return;
  const bool online = client_.link() == runtime::ClientRuntime::Link::kOnline;
  quiet_.set(online ? kQuiet : kConnectPatience, [this] {
    if (client_.link() == runtime::ClientRuntime::Link::kOnline) {
      end(kExitOk);
      return;
    }
    const bool ended = client_.link_fault() == runtime::LinkFault::kEnded;
    refuse(kExitUnreachable, "unreachable",
           (ended ? "no connection to " : "cannot reach ") + printable(client_.server()) + ": " +
               client_.link_reason());
  });
}

void ReceiveCommand::on_link_failed() { link_may_recover(); }

void ReceiveCommand::timed_out() {
  if (options_.count != 0 && count_ < options_.count) {
    if (!options_.json) {
      note(grouped(count_) + " of " + grouped(options_.count) + " messages came in time.");
    }
    end(kExitTimeout);
  } else {
    end(kExitOk);
  }
}

void ReceiveCommand::end(int exit_code) {
  ending_ = exit_code;
  quiet_.clear();
  timeout_.clear();
  again_.clear();
  // The host keeps the front-end until it has confirmed everything.
  if (printed_.empty()) console_.finish(exit_code);
}

}  // namespace godwit::cli
