#include "apps/godwit/chat_command.h"

#include "client/history.h"

namespace godwit::cli {
namespace {

constexpr std::size_t kPage = 100;
constexpr std::size_t kMaxLine = 512 * 1024;  // a text of the largest size, escaped

}  // namespace

void ChatCommand::start() {
  if (!require_account()) return;
  if (!context_.view && !options_.json) {
    refuse(kExitUsage, "invalid", "chat needs a terminal: use --json to drive it by a program");
    return;
  }
  client_.go_online();
  const client::Contact* contact = client_.engine().contact(options_.phone);
  if (contact != nullptr) chat_ = contact->user;
  emit({{"type", "chat"},
        {"with", options_.phone},
        {"me", client_.engine().profile().phone},
        {"verified", contact != nullptr && contact->verified}});
  older();
  tell_connection();
  console_.want_input();
}

void ChatCommand::tell_connection() {
  const bool online = client_.link() == runtime::ClientRuntime::Link::kOnline;
  Json object = {{"type", "connection"}, {"online", online}};
  if (!online) object["reason"] = client_.link_reason();
  emit(object);
}

bool ChatCommand::is_here(const std::string& phone, client::ChatId chat) const {
  return phone == options_.phone || (!chat_.is_nil() && chat == chat_);
}

void ChatCommand::on_event(const client::Event& event) {
  if (const auto* received = std::get_if<client::MessageReceived>(&event)) {
    if (!is_here(received->message.phone, received->message.chat)) return;
    chat_ = received->message.chat;
    emit(history_json(received->message, names()));
  } else if (const auto* change = std::get_if<client::StatusChanged>(&event)) {
    if (!is_here(change->phone, change->chat) && !mine_.contains(change->id)) return;
    Json object = {{"type", "status"},
                   {"id", id_text(change->id)},
                   {"status", client::status_name(change->status)}};
    if (!change->failure.empty()) object["failure"] = change->failure;
    emit(object);
  } else if (const auto* identity = std::get_if<client::IdentityChanged>(&event)) {
    if (is_here(identity->phone, identity->user)) emit({{"type", "identity"}, {"changed", true}});
  } else if (std::holds_alternative<client::ConnectionChanged>(event)) {
    tell_connection();
  }
}

void ChatCommand::on_input(std::string_view octets) {
  input_ += octets;
  std::size_t end = 0;
  while ((end = input_.find('\n')) != std::string::npos) {
    const std::string line = input_.substr(0, end);
    input_.erase(0, end + 1);
    if (!line.empty()) obey(line);
  }
  if (input_.size() > kMaxLine) {
    refuse(kExitUsage, "too_large", "a line of input is too long");
    return;
  }
  console_.want_input();
}

void ChatCommand::obey(std::string_view line) {
  const Json wish = Json::parse(line, nullptr, false);
  if (!wish.is_object()) {
    emit(error_json("invalid", "a line of input is no JSON object"));
  } else if (const auto text = wish.find("send"); text != wish.end() && text->is_string()) {
    send(text->get<std::string>());
  } else if (wish.contains("older")) {
    older();
  } else if (wish.contains("read")) {
    mark_read();
  } else {
    emit(error_json("invalid", "say {\"send\":\"text\"}, {\"older\":true} or {\"read\":true}"));
  }
}

void ChatCommand::send(const std::string& text) {
  const auto id = client_.act([&](auto& engine, Env& env, auto& out) {
    return engine.send_text(options_.phone, text, {}, env, out);
  });
  if (!id) {
    emit(error_json(code_name(id.error().code), id.error().text));
    return;
  }
  client::Message message;
  message.id = *id;
  message.phone = options_.phone;
  message.chat = chat_;
  message.direction = client::Direction::kOut;
  message.composed = now();
  message.text = text;
  composed_.push_back(std::move(message));
  mine_.insert(*id);
}

void ChatCommand::on_committed() {
  for (const client::Message& message : std::exchange(composed_, {}))
    emit(history_json(message, names()));
}

void ChatCommand::on_commit_failed(Error error) {
  const bool full = error.code == Code::kFull;
  for (const client::Message& message : std::exchange(composed_, {})) {
    Json object = error_json(code_name(error.code),
                             full ? "not sent: the disk is full" : std::string(error.text));
    object["text_back"] = message.text;
    emit(object);
  }
}

void ChatCommand::older() {
  client::Page page;
  if (!chat_.is_nil() && (more_ || !begun_)) {
    auto read = client::read_history(client_.store(), chat_, before_, kPage);
    if (!read) {
      emit(error_json(code_name(read.error().code), read.error().text));
      return;
    }
    page = std::move(*read);
  }
  // Newest first: the view puts each above the one before.
  for (auto message = page.messages.rbegin(); message != page.messages.rend(); ++message) {
    Json object = history_json(*message, names());
    object["older"] = true;
    emit(object);
  }
  begun_ = true;
  before_ = page.before;
  more_ = !before_.empty();
  emit({{"type", "page"}, {"more", more_}});
}

void ChatCommand::mark_read() {
  // A refusal costs a receipt, not a message: nothing to tell.
  (void)client_.act([&](auto& engine, Env& env, auto& out) {
    return engine.mark_read(options_.phone, env, out);
  });
}

}  // namespace godwit::cli
