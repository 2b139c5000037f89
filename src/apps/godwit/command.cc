#include "apps/godwit/command.h"

#include "apps/godwit/chat_command.h"
#include "apps/godwit/group_command.h"
#include "apps/godwit/message_commands.h"
#include "apps/godwit/receive_command.h"
#include "apps/godwit/record_commands.h"
#include "apps/godwit/register_command.h"
#include "apps/godwit/send_command.h"
#include "client/history.h"

namespace godwit::cli {
namespace {

constexpr Duration kNews = seconds(3);  // for what the server has to tell to come
constexpr Duration kLook = milliseconds(50);

}  // namespace

void Command::complain(std::string_view code, const std::string& text) {
  if (options_.json) {
    console_.err(json_line(error_json(code, text)));
  } else {
    const bool red = color() && console_.terminal().err_tty;
    console_.err(paint(Ink::kRed, "godwit:", red) + " " + printable(text, true) + "\n");
  }
}

void Command::refuse(Exit exit, std::string_view code, const std::string& text) {
  complain(code, text);
  console_.finish(exit);
}

std::string Command::said(Error error) {
  if (error.code == Code::kFull) return "the disk is full: make room, then repeat";
  return std::string(error.text);
}

bool Command::require_account() {
  if (client_.engine().registered()) return true;
  refuse(kExitRefused, "not_registered",
         "this home has no account yet: godwit register +NUMBER --server HOST:PORT");
  return false;
}

std::string Command::name(UserId user) const {
  if (user.is_nil()) return client_.engine().profile().phone;
  const client::Contact* contact = client_.engine().contact(user);
  return who(contact == nullptr ? std::string() : contact->phone, user);
}

std::optional<client::GroupView> Command::named_group(const std::string& name) {
  auto found = find_group(client_.engine(), name);
  if (found) return std::move(*found);
  const bool several = found.error().code == Code::kConflict;
  refuse(several ? kExitUsage : kExitNotFound, several ? "ambiguous" : "not_found",
         "\"" + printable(name) + "\": " + std::string(found.error().text));
  return std::nullopt;
}

void Command::when_known(const std::string& text, std::function<void()> then) {
  // With a connection it is known what there is.
  look_for(text, online() ? now() : now() + kNews, std::move(then));
}

void Command::look_for(const std::string& text, Instant until, std::function<void()> then) {
  const auto group = find_group(client_.engine(), text);
  const bool known = text.starts_with('+') || group || group.error().code == Code::kConflict;
  if (known || unreachable() || now() >= until) return then();
  client_.go_online();
  look_.set(kLook, [this, text, until, then = std::move(then)] { look_for(text, until, then); });
}

std::optional<client::Recipient> Command::recipient(const std::string& text) {
  if (text.starts_with('+')) return text;
  if (const auto group = named_group(text)) return group->id;
  return std::nullopt;
}

client::ChatId Command::chat_of(const client::Recipient& recipient) const {
  const auto* group = std::get_if<GroupId>(&recipient);
  return group ? client::ChatId(*group) : client_.engine().chat(std::get<std::string>(recipient));
}

std::string Command::chat_name(client::ChatId chat, const std::string& phone) const {
  if (chat.is_group()) {
    for (const auto& group : client_.engine().groups()) {
      if (group.id == chat.group() && !group.name.empty()) return printable(group.name);
    }
  }
  return who(phone, chat);
}

std::optional<client::Message> Command::find_message(const std::string& id) {
  const auto found = client::find_messages(client_.store(), id);
  if (!found) {
    refuse(kExitUsage, "invalid", std::string(found.error().text));
  } else if (found->empty()) {
    refuse(kExitNotFound, "not_found", "no message has this id: see godwit history +N --json");
  } else if (found->size() > 1) {
    refuse(kExitUsage, "ambiguous", "several messages have ids that begin so: give more digits");
  } else {
    return found->front();
  }
  return std::nullopt;
}

std::string Command::held_reason(const std::string& phone) const {
  const client::Contact* contact = client_.engine().contact(phone);
  if (contact == nullptr || contact->new_identity_key.empty()) return {};
  return "the keys of " + phone +
         " are not the ones you verified: a new phone, or somebody in "
         "between. Compare the safety number (godwit verify " +
         phone +
         "), then accept it with "
         "--mark, or with --unmark unseen";
}

std::string Command::why_queued() const {
  const std::string reason = client_.link_reason();
  if (online()) return "Not accepted yet: ";
  return "Offline" + (reason.empty() ? "" : " (" + reason + ")") + ": ";
}

bool Command::link_may_recover() {
  if (client_.link_fault() != runtime::LinkFault::kServerKey) return true;
  refuse(kExitServerKey, "server_key_changed",
         client_.link_reason() +
             ".\nNothing was sent. If its owner confirms the change, accept the new key once with "
             "--accept-server-key");
  return false;
}

std::unique_ptr<Command> make_command(Context context, Options options) {
  switch (options.verb) {
    case Verb::kRegister:
      return std::make_unique<RegisterCommand>(std::move(context), std::move(options));
    case Verb::kSend: return std::make_unique<SendCommand>(std::move(context), std::move(options));
    case Verb::kReceive:
      return std::make_unique<ReceiveCommand>(std::move(context), std::move(options));
    case Verb::kHistory:
      return std::make_unique<HistoryCommand>(std::move(context), std::move(options));
    case Verb::kContacts:
      return std::make_unique<ContactsCommand>(std::move(context), std::move(options));
    case Verb::kStatus:
      return std::make_unique<StatusCommand>(std::move(context), std::move(options));
    case Verb::kVerify:
      return std::make_unique<VerifyCommand>(std::move(context), std::move(options));
    case Verb::kGroup:
      return std::make_unique<GroupCommand>(std::move(context), std::move(options));
    case Verb::kChat: return std::make_unique<ChatCommand>(std::move(context), std::move(options));
    case Verb::kInfo:
    case Verb::kStarred:
    case Verb::kSearch:
      return std::make_unique<FindCommand>(std::move(context), std::move(options));
    default: return std::make_unique<ActCommand>(std::move(context), std::move(options));
  }
  return nullptr;
}

std::string seconds_text(Duration duration) {
  const std::int64_t tenths = (duration.ms + 50) / 100;
  std::string text = std::to_string(tenths / 10);
  if (tenths % 10 != 0) text += "." + std::to_string(tenths % 10);
  return text + " s";
}

}  // namespace godwit::cli
