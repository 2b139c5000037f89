#include "apps/godwit/register_command.h"

#include <algorithm>

namespace godwit::cli {
namespace {

constexpr Duration kDefaultTimeout = seconds(30);

std::string digits_of(std::string_view text) {
  std::string digits;
  for (const char c : text) {
    if (c >= '0' && c <= '9') digits += c;
  }
  return digits;
}

}  // namespace

RegisterCommand::RegisterCommand(Context context, Options options)
    : Command(std::move(context), std::move(options)), timeout_(client_.loop()) {}

void RegisterCommand::start() {
  if (client_.engine().registered()) {
    const client::Profile& profile = client_.engine().profile();
    if (profile.phone != options_.phone) {
      refuse(
          kExitUsage, "conflict",
          "this home already belongs to " + profile.phone + ": take another one with --home DIR");
    } else {
      registered();
    }
    return;
  }
  if (client_.server().empty()) {
    refuse(kExitUsage, "invalid", "which server? Name it with --server HOST:PORT");
    return;
  }
  const Duration wait = options_.timeout.value_or(kDefaultTimeout);
  timeout_.set(wait, [this] { timed_out(); });
  client_.go_online();
  if (options_.code.empty()) request_code();
  else submit(options_.code);
}

void RegisterCommand::request_code() {
  const auto request = client_.act([&](auto& engine, Env& env, auto& out) {
    return engine.request_code(options_.phone, env, out);
  });
  if (!request) {
    refuse(request.error());
    return;
  }
  step_ = Step::kRequested;
  request_ = *request;
}

void RegisterCommand::code_sent() {
  timeout_.clear();
  const auto saved = client_.save_server();
  if (!saved) {
    refuse(saved.error());
    return;
  }
  if (console_.terminal().in_tty && !options_.json) {
    console_.err("A code is on its way to " + options_.phone + ".\n");
    prompt();
    return;
  }
  if (options_.json) {
    emit({{"type", "code_sent"}, {"phone", options_.phone}});
  } else {
    line("A code is on its way to " + options_.phone + ". When you have it:\n  godwit register " +
         options_.phone + " --code CODE");
  }
  console_.finish(kExitOk);
}

void RegisterCommand::prompt() {
  step_ = Step::kPrompting;
  typed_.clear();
  console_.err("Code: ");
  console_.want_input();
}

void RegisterCommand::on_input(std::string_view octets) {
  if (step_ != Step::kPrompting) return;
  typed_ += octets.substr(0, 64);
  const auto end = typed_.find('\n');
  if (end == std::string::npos && typed_.size() < 64) {
    console_.want_input();
    return;
  }
  const std::string digits = digits_of(typed_);
  if (digits.empty()) {
    prompt();
  } else {
    submit(digits);
  }
}

void RegisterCommand::on_input_end() {
  if (step_ != Step::kPrompting) return;
  note("\nWhen you have the code: godwit register " + options_.phone + " --code CODE");
  console_.finish(kExitInterrupted);
}

void RegisterCommand::submit(std::string code) {
  step_ = Step::kRegistering;
  ++tries_;
  timeout_.set(options_.timeout.value_or(kDefaultTimeout), [this] { timed_out(); });
  const auto request = client_.act([&](auto& engine, Env& env, auto& out) {
    return engine.register_account(options_.phone, code, env, out);
  });
  if (!request) {
    refuse(request.error());
    return;
  }
  request_ = *request;
}

void RegisterCommand::on_event(const client::Event& event) {
  if (const auto* sent = std::get_if<client::CodeRequested>(&event)) {
    if (step_ == Step::kRequested && sent->request == request_) code_sent();
  } else if (const auto* done = std::get_if<client::Registered>(&event)) {
    if (step_ == Step::kRegistering && done->request == request_) registered();
  } else if (const auto* failure = std::get_if<client::Failed>(&event)) {
    if (failure->request == request_) failed(*failure);
  }
}

void RegisterCommand::registered() {
  if (const auto saved = client_.save_server(); !saved) {
    refuse(saved.error());
    return;
  }
  const client::Profile& profile = client_.engine().profile();
  if (options_.json) {
    emit({{"type", "registered"},
          {"phone", profile.phone},
          {"user", to_hex(profile.user.view())},
          {"device", profile.device.value},
          {"server", client_.server()}});
  } else {
    line(paint(Ink::kGreen, "✓", color()) + " You are " + profile.phone + " on " +
         printable(client_.server()) + ".");
    note(
        "  Write to somebody:  godwit send +NUMBER \"Hello\"\n"
        "  Read what comes:    godwit receive --follow");
  }
  console_.finish(kExitOk);
}

void RegisterCommand::failed(const client::Failed& failure) {
  const bool wrong_code = step_ == Step::kRegistering &&
                          (failure.code == Code::kUnauthenticated ||
                           failure.code == Code::kForbidden || failure.code == Code::kInvalid);
  const int left = static_cast<int>(limits::kCodeAttempts) - tries_;
  if (wrong_code && options_.code.empty() && left > 0) {
    complain(code_name(failure.code), failure.text);
    prompt();
    return;
  }
  std::string text = failure.text;
  if (failure.retry_after > Duration{}) {
    text += " (in " + seconds_text(failure.retry_after) + ")";
  }
  if (step_ == Step::kRegistering && failure.code == Code::kNotFound) {
    text += ": ask for one with godwit register " + options_.phone;
  }
  const Exit exit = failure.code == Code::kUnavailable              ? kExitUnreachable
                    : failure.code == Code::kInvalid && !wrong_code ? kExitUsage
                                                                    : kExitRefused;
  refuse(exit, code_name(failure.code), text);
}

void RegisterCommand::on_link_failed() {
  if (!link_may_recover()) return;
  if (step_ == Step::kPrompting) return;
  refuse(kExitUnreachable, "unreachable",
         "cannot reach " + printable(client_.server()) + ": " + client_.link_reason());
}

void RegisterCommand::timed_out() {
  refuse(kExitTimeout, "timeout", "the server did not answer in time: repeat the command");
}

}  // namespace godwit::cli
