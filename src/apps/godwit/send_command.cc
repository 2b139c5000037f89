#include "apps/godwit/send_command.h"

#include <algorithm>

#include "apps/godwit/message_commands.h"
#include "client/history.h"

namespace godwit::cli {
namespace {

constexpr Duration kDefaultTimeout = seconds(30);  // without progress, when lines are sent
constexpr Duration kProgressTty = milliseconds(200);
constexpr Duration kProgressLog = seconds(5);

client::Status target_of(const Options& options) {
  const std::string wait = options.wait.value_or("sent");
  return wait == "read"        ? client::Status::kRead
         : wait == "delivered" ? client::Status::kDelivered
                               : client::Status::kSent;
}

std::string size_text(std::uint64_t octets) { return grouped(octets) + " bytes"; }

}  // namespace

SendCommand::SendCommand(Context context, Options options)
    : Command(std::move(context), std::move(options)),
      target_(target_of(options_)),
      timeout_(client_.loop()),
      offline_(client_.loop()),
      progress_(client_.loop()) {}

void SendCommand::start() {
  if (!require_account()) return;
  if (options_.text && options_.lines) {
    refuse(kExitUsage, "invalid", "--lines reads stdin: give no text on the command line");
    return;
  }
  auto extras = extras_of(options_, client_.store());
  if (!extras) {
    refuse(extras.error());
    return;
  }
  extras_ = std::move(*extras);
  when_known(options_.phone, [this] { begin(); });
}

void SendCommand::begin() {
  const auto to = recipient(options_.phone);
  if (!to) return;
  to_ = *to;
  started_ = now();
  client_.go_online();
  if (options_.timeout) timeout_.set(*options_.timeout, [this] { give_up(!online()); });
  if (options_.lines) show_progress(false);
  const bool carries = extras_.card || extras_.place;
  if (!options_.text && !carries) {
    if (console_.terminal().in_tty) note("Write your message; Ctrl-D on an empty line sends it.");
    console_.want_input();
    return;
  }
  input_ended_ = true;
  if (compose(options_.text.value_or("")) == Composed::kLater) {
    refuse(kExitStore, "full", "the outbox is full: wait until what it holds was sent");
  }
}

SendCommand::Composed SendCommand::compose(std::string_view text) {
  const std::string where = options_.lines ? "line " + grouped(number_ + 1) + ": " : "";
  if (text.empty() && !options_.lines && !extras_.card && !extras_.place) {
    refuse(kExitUsage, "invalid", "the message is empty: give a text, or write it to stdin");
    return Composed::kRefused;
  }
  if (text.size() > limits::kMaxText) {
    refuse(kExitUsage, "too_large",
           where + "the message has " + size_text(text.size()) + "; the limit is " +
               size_text(limits::kMaxText));
    return Composed::kRefused;
  }
  if (const std::size_t at = utf8_error(text); at != std::string_view::npos) {
    refuse(kExitUsage, "invalid",
           where + "the message is not UTF-8: byte " + grouped(at) + " (counted from 0) is wrong");
    return Composed::kRefused;
  }
  const auto id = client_.act([&](auto& engine, Env& env, auto& out) {
    client::Text said{.body = std::string(text), .extras = extras_};
    const client::Engine::SendOptions options{.allow_empty = options_.lines};
    return engine.send(to_, std::move(said), options, env, out);
  });
  if (!id) {
    if (id.error().code == Code::kFull) return Composed::kLater;
    refuse(id.error());
    return Composed::kRefused;
  }
  waiting_.emplace(*id, Waiting{.number = ++number_});
  unstored_.push_back(*id);
  return Composed::kYes;
}

void SendCommand::on_input(std::string_view octets) {
  if (options_.lines) {
    input_ += octets;
    compose_lines();
    return;
  }
  input_size_ += octets.size();
  // A little more than the limit is kept: enough to see that it is over.
  if (input_.size() <= limits::kMaxText + 1) input_ += octets.substr(0, limits::kMaxText + 2);
  console_.want_input();
}

void SendCommand::compose_lines() {
  std::size_t used = 0;
  bool later = false;
  for (;;) {
    const std::size_t end = input_.find('\n', used);
    const bool last = end == std::string::npos;
    if (last && !(input_ended_ && used < input_.size())) break;
    std::string_view text = std::string_view(input_).substr(used, last ? last : end - used);
    if (last) text = std::string_view(input_).substr(used);
    const Composed composed = compose(text);
    if (composed == Composed::kRefused) return;
    later = composed == Composed::kLater;
    if (later) break;
    used = last ? input_.size() : end + 1;
  }
  input_.erase(0, used);
  if (input_.size() > limits::kMaxText && input_.find('\n') == std::string::npos) {
    compose(input_);  // reports that the line is too long
    return;
  }
  if (!later && !input_ended_) console_.want_input();
  finish_if_done();
}

void SendCommand::on_input_end() {
  input_ended_ = true;
  if (options_.lines) {
    compose_lines();
    return;
  }
  if (input_size_ > limits::kMaxText + 1) {
    refuse(kExitUsage, "too_large",
           "the message has " + size_text(input_size_) + "; the limit is " +
               size_text(limits::kMaxText));
    return;
  }
  std::string text = std::exchange(input_, {});
  if (text.ends_with('\n')) text.pop_back();
  if (compose(text) == Composed::kLater) {
    refuse(kExitStore, "full", "the outbox is full: wait until what it holds was sent");
  }
}

void SendCommand::on_committed() {
  for (const MessageId& id : unstored_) {
    if (const auto found = waiting_.find(id); found != waiting_.end()) found->second.stored = true;
  }
  const bool fresh = !unstored_.empty();
  unstored_.clear();
  if (fresh && !options_.lines && !held_reason(options_.phone).empty()) give_up(false);
  else if (fresh) watch_connection();
  finish_if_done();
}

void SendCommand::on_commit_failed(Error error) {
  if (unstored_.empty()) return;
  for (const MessageId& id : unstored_) waiting_.erase(id);
  const std::uint64_t lost = unstored_.size();
  const std::uint64_t kept = number_ - lost;
  unstored_.clear();
  complain(code_name(error.code), error.code == Code::kFull
                                      ? "the disk is full: make room, then send again"
                                      : std::string(error.text));
  std::string text = "not sent: " + grouped(lost) + (lost == 1 ? " message" : " messages");
  if (options_.lines) text += ", from line " + grouped(kept + 1) + " on";
  note(text);
  console_.finish(kExitStore);
}

// Without --wait nobody is kept waiting for a connection that is not there.
void SendCommand::watch_connection() {
  if (options_.wait || online()) {
    offline_.clear();
  } else if (!offline_.armed() || (unreachable() && !failed_link_)) {
    failed_link_ = unreachable();
    const Duration patience = offline_patience();
    offline_.set(std::min(options_.timeout.value_or(patience), patience),
                 [this] { give_up(true); });
  }
  if (!options_.timeout) timeout_.set(kDefaultTimeout, [this] { give_up(!online()); });
}

void SendCommand::on_link_failed() {
  if (!link_may_recover()) return;
  if (!waiting_.empty()) watch_connection();
}

void SendCommand::on_event(const client::Event& event) {
  if (std::holds_alternative<client::ConnectionChanged>(event)) {
    if (!waiting_.empty()) watch_connection();
  } else if (const auto* identity = std::get_if<client::IdentityChanged>(&event)) {
    if (identity->phone == options_.phone && !held_reason(options_.phone).empty()) give_up(false);
  } else if (const auto* change = std::get_if<client::StatusChanged>(&event)) {
    advance(*change);
  }
}

void SendCommand::advance(const client::StatusChanged& change) {
  const auto found = waiting_.find(change.id);
  if (found == waiting_.end()) return;
  Waiting& message = found->second;
  if (!options_.timeout) timeout_.set(kDefaultTimeout, [this] { give_up(!online()); });
  if (change.status == client::Status::kFailed) {
    report_failure(change, message.number);
    ++failed_;
  } else {
    client::Status status = change.status;
    if (change.chat.is_group() && !change.from.is_nil()) {
      // One member's receipt: how far it came is what holds for all of them.
      const auto stored = client::find_messages(client_.store(), id_text(change.id));
      status = stored && stored->size() == 1 ? stored->front().status : client::Status::kSent;
    }
    message.status = std::max(message.status, status);
    if (message.status < target_) return;
    ++arrived_;
    report(change.id, message);
  }
  waiting_.erase(found);
  if (options_.lines && !input_ended_ && !input_.empty()) compose_lines();
  else finish_if_done();
}

void SendCommand::report(const MessageId& id, const Waiting& message) {
  if (options_.json) {
    Json object = {
        {"type", client::status_name(message.status)}, {"id", id_text(id)}, {"to", options_.phone}};
    if (options_.lines) object["line"] = message.number;
    emit(object);
  } else if (!options_.lines && message.status != client::Status::kQueued) {
    const bool read = message.status == client::Status::kRead;
    line(paint(read ? Ink::kBlue : Ink::kGreen, tick(message.status), color()) + " " +
         std::string(client::status_name(message.status)));
  }
}

void SendCommand::report_failure(const client::StatusChanged& change, std::uint64_t number) {
  const bool unknown = change.failure.find("no account") != std::string::npos;
  const Code code = unknown ? Code::kNotFound : Code::kForbidden;
  const std::string text = change.failure.empty() ? "the server refused it" : change.failure;
  failure_exit_ = unknown ? kExitNotFound : kExitRefused;
  if (options_.json) {
    Json object = error_json(code_name(code), text);
    object["id"] = id_text(change.id);
    if (options_.lines) object["line"] = number;
    console_.err(json_line(object));
  } else if (failed_ == 0 || !options_.lines) {
    complain(code_name(code), (options_.lines ? "line " + grouped(number) + ": " : "") + text);
  }
}

void SendCommand::finish_if_done() {
  if (!input_ended_ || !input_.empty() || !unstored_.empty() || !waiting_.empty()) return;
  if (options_.lines) summary();
  console_.finish(failure_exit_);
}

void SendCommand::give_up(bool offline) {
  if (!unstored_.empty() || (!input_ended_ && !options_.timeout)) return;
  std::uint64_t queued = 0;
  for (const auto& [id, message] : waiting_) {
    if (message.status == client::Status::kQueued) ++queued;
    report(id, message);
  }
  if (options_.lines) summary();
  const std::string reason =
      client_.link_reason().empty() ? "" : " (" + client_.link_reason() + ")";
  if (const std::string held = held_reason(options_.phone); queued > 0 && !held.empty()) {
    refuse(kExitRefused, "identity_changed", held + ".\nThe message is queued until then");
    return;
  }
  if (options_.wait) {
    refuse(kExitTimeout, "timeout",
           "not " + *options_.wait + " in time" + (offline ? reason : "") +
               (queued > 0 ? ": it is queued and leaves at the next connection" : ""));
    return;
  }
  if (options_.lines && !input_ended_) {
    refuse(kExitTimeout, "timeout",
           "stopped before the end of the input, after line " + grouped(number_));
    return;
  }
  if (queued > 0) {
    const std::string what = options_.lines ? grouped(queued) + " messages are queued" : "· queued";
    note(why_queued() + what + "; they leave with the next godwit command that connects.");
  }
  console_.finish(failure_exit_);
}

void SendCommand::on_interrupt() {
  if (options_.lines) summary();
  if (!waiting_.empty()) {
    note("Interrupted: " + grouped(waiting_.size()) +
         " queued; they leave at the next connection.");
  }
  console_.finish(kExitInterrupted);
}

void SendCommand::show_progress(bool last) {
  const bool tty = console_.terminal().err_tty;
  if (options_.json) return;
  if (!last) progress_.set(tty ? kProgressTty : kProgressLog, [this] { show_progress(false); });
  if (number_ == 0) return;
  const std::int64_t ms = std::max<std::int64_t>((now() - started_).ms, 1);
  const auto rate = arrived_ * 1000 / static_cast<std::uint64_t>(ms);
  const std::string text = grouped(arrived_) + " of " + grouped(number_) +
                           (input_ended_ ? "" : "+") + " " +
                           std::string(client::status_name(target_)) + ", " + grouped(rate) + "/s";
  progress_shown_ = true;
  console_.err(tty ? "\r\x1b[K" + text : text + "\n");
}

void SendCommand::summary() {
  progress_.clear();
  if (options_.json) return;
  const bool tty = console_.terminal().err_tty;
  if (progress_shown_ && tty) console_.err("\r\x1b[K");
  const Duration took = now() - started_;
  const auto rate =
      arrived_ * 1000 / static_cast<std::uint64_t>(std::max<std::int64_t>(took.ms, 1));
  std::string text = grouped(arrived_) + " of " + grouped(number_) + " " +
                     std::string(client::status_name(target_)) + " in " + seconds_text(took) +
                     " (" + grouped(rate) + "/s)";
  if (failed_ > 0) text += ", " + grouped(failed_) + " failed";
  note(text);
}

}  // namespace godwit::cli
