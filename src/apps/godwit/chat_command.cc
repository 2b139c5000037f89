#include "apps/godwit/chat_command.h"

#include <algorithm>

#include "apps/godwit/group_command.h"
#include "apps/godwit/message_commands.h"
#include "client/history.h"
#include "client/search.h"

namespace godwit::cli {
namespace {

using client::Act;
using Kind = client::Act::Kind;

constexpr std::size_t kPage = 100;
constexpr std::size_t kMaxLine = 512 * 1024;  // a text of the largest size, escaped
constexpr std::size_t kFound = 20;

std::string text_at(const Json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

bool flag_at(const Json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_boolean() && found->get<bool>();
}

std::vector<std::string> texts_at(const Json& object, const char* key) {
  std::vector<std::string> out;
  const auto found = object.find(key);
  if (found == object.end() || !found->is_array()) return out;
  for (const Json& each : *found) {
    if (each.is_string()) out.push_back(each.get<std::string>());
  }
  return out;
}

}  // namespace

void ChatCommand::start() {
  if (!require_account()) return;
  if (!context_.view && !options_.json) {
    refuse(kExitUsage, "invalid", "chat needs a terminal: use --json to drive it by a program");
    return;
  }
  when_known(options_.phone, [this] { open(); });
}

void ChatCommand::open() {
  const auto with = recipient(options_.phone);
  if (!with) return;
  open_ = true;
  with_ = *with;
  chat_ = chat_of(with_);
  for (auto& group : client_.engine().groups()) {
    if (client::ChatId(group.id) == chat_) group_ = GroupTeller(std::move(group));
  }
  client_.go_online();
  tell_chat();
  older();
  tell_connection();
  tell_unread();
  console_.want_input();
}

// ---- what is told

void ChatCommand::tell_chat() {
  const client::Engine& engine = client_.engine();
  const bool group = std::holds_alternative<GroupId>(with_);
  const client::Contact* contact = group ? nullptr : engine.contact(options_.phone);
  Json object = {{"type", "chat"},
                 {"with", group ? chat_name(chat_, {}) : options_.phone},
                 {"me", engine.profile().phone},
                 {"verified", contact != nullptr && contact->verified}};
  numbers_.clear();
  for (const auto& each : engine.groups()) {
    if (!group || each.id != std::get<GroupId>(with_)) continue;
    object["group"] = who({}, chat_);
    object["member"] = each.member;
    object["announcements"] = each.announcements;
    object["members"] = Json::array();
    for (const auto& member : each.members) {
      object["members"].push_back(
          {{"number", who(member.phone, member.user)}, {"admin", member.admin}});
      numbers_.insert(who(member.phone, member.user));
    }
  }
  const client::ChatRow& row = engine.chat(chat_);
  if (row.lifetime.ms != 0) object["lifetime_s"] = row.lifetime.ms / 1000;
  if (!row.draft.empty()) object["draft"] = row.draft;
  Json pins = Json::array();
  for (const MessageId id : engine.pins(chat_)) {
    const auto found = client::find_messages(client_.store(), id_text(id));
    if (!found || found->size() != 1) continue;
    const client::Message& pinned = found->front();
    const bool bare = !pinned.text.empty() && !pinned.deleted && !pinned.extras.view_once;
    pins.push_back(
        {{"id", id_text(id)}, {"text", bare ? pinned.text : message_text(pinned, names())}});
  }
  if (!pins.empty()) object["pins"] = std::move(pins);
  emit(object);
}

void ChatCommand::tell_connection() {
  const bool online = client_.link() == runtime::ClientRuntime::Link::kOnline;
  Json object = {{"type", "connection"}, {"online", online}};
  if (!online) object["reason"] = client_.link_reason();
  emit(object);
}

// Of the other chats, but for those that are muted.
void ChatCommand::tell_unread() {
  const client::Engine& engine = client_.engine();
  std::size_t messages = 0, chats = 0, mentions = 0;
  for (const client::ChatId chat : engine.unread_chats()) {
    if (chat == chat_) continue;
    mentions += engine.mentions(chat);
    if (engine.chat(chat).muted_until > now()) continue;
    messages += engine.unread(chat);
    ++chats;
  }
  emit({{"type", "unread"}, {"messages", messages}, {"chats", chats}, {"mentions", mentions}});
}

void ChatCommand::tell_typing() {
  std::erase_if(typing_, [&](const auto& each) { return each.second <= now(); });
  Json from = Json::array();
  Instant first = kNever;
  for (const auto& [name, until] : typing_) {
    from.push_back(name);
    first = std::min(first, until);
  }
  emit({{"type", "typing"}, {"from", std::move(from)}});
  if (!typing_.empty()) fading_.set(first - now(), [this] { tell_typing(); });
}

void ChatCommand::tell_changed(MessageId id) {
  const auto found = client::find_messages(client_.store(), id_text(id));
  if (!found || found->size() != 1 || found->front().chat != chat_) return;
  Json object = history_json(found->front(), names());
  object["changed"] = true;
  emit(object);
}

void ChatCommand::tell_status(const client::StatusChanged& change) {
  client::Status status = change.status;
  if (change.chat.is_group() && !change.from.is_nil()) {
    // How far it came with all members: the reader knows.
    const auto found = client::find_messages(client_.store(), id_text(change.id));
    if (found && found->size() == 1) status = found->front().status;
  }
  Json object = {
      {"type", "status"}, {"id", id_text(change.id)}, {"status", client::status_name(status)}};
  if (!change.failure.empty()) object["failure"] = change.failure;
  emit(object);
}

void ChatCommand::tell_news(const client::GroupChanged& change) {
  const std::string& me = client_.engine().profile().phone;
  for (const std::string& text : group_.tell(change, me)) {
    emit({{"type", "news"}, {"chat", who({}, chat_)}, {"text", text}});
  }
}

bool ChatCommand::is_here(const std::string& phone, client::ChatId chat) const {
  if (!chat_.is_nil() && chat == chat_) return true;
  const auto* number = std::get_if<std::string>(&with_);
  return number && !chat.is_group() && phone == *number;
}

void ChatCommand::on_event(const client::Event& event) {
  if (!open_) return;
  if (const auto* received = std::get_if<client::MessageReceived>(&event)) {
    const client::Message& message = received->message;
    if (!is_here(message.phone, message.chat)) return tell_unread();
    chat_ = message.chat;
    emit(history_json(message, names()));
    if (typing_.erase(name(message.from)) != 0) tell_typing();
    // Somebody's number may have become known by what they said.
    const bool news = chat_.is_group() && !numbers_.contains(name(message.from));
    if (message.extras.sets_lifetime || news) tell_chat();
  } else if (const auto* change = std::get_if<client::StatusChanged>(&event)) {
    if (is_here(change->phone, change->chat) || mine_.contains(change->id)) tell_status(*change);
  } else if (const auto* changed = std::get_if<client::MessageChanged>(&event)) {
    if (changed->chat != chat_) return;
    tell_changed(changed->act.target);
    if (changed->act.kind == Kind::kPin) tell_chat();
  } else if (const auto* erased = std::get_if<client::MessageErased>(&event)) {
    if (erased->chat == chat_) emit({{"type", "erased"}, {"id", id_text(erased->id)}});
  } else if (const auto* typing = std::get_if<client::TypingChanged>(&event)) {
    if (!is_here(typing->phone, typing->chat)) return;
    if (typing->active) typing_[name(typing->from)] = now() + limits::kTypingFades;
    else typing_.erase(name(typing->from));
    tell_typing();
  } else if (const auto* group = std::get_if<client::GroupChanged>(&event)) {
    if (client::ChatId(group->group.id) != chat_) return;
    tell_news(*group);
    tell_chat();
  } else if (const auto* lie = std::get_if<client::GroupRefused>(&event)) {
    if (client::ChatId(lie->group) != chat_) return;
    emit({{"type", "refused"}, {"reason", lie->text}, {"chat", who({}, chat_)}});
  } else if (const auto* identity = std::get_if<client::IdentityChanged>(&event)) {
    if (is_here(identity->phone, identity->user)) emit({{"type", "identity"}, {"changed", true}});
  } else if (std::holds_alternative<client::ConnectionChanged>(event)) {
    tell_connection();
  }
}

void ChatCommand::on_committed() {
  if (!open_) return;
  if (chat_.is_nil()) chat_ = chat_of(with_);
  for (const Composed& each : std::exchange(composed_, {})) {
    const auto stored = client::find_messages(client_.store(), id_text(each.id));
    if (stored && stored->size() == 1) {
      emit(history_json(stored->front(), names()));
      continue;
    }
    // Its number is not known to belong to anybody yet.
    client::Message message{.id = each.id, .chat = chat_, .phone = options_.phone};
    message.direction = client::Direction::kOut;
    message.composed = each.composed;
    message.text = each.text;
    emit(history_json(message, names()));
  }
  for (const MessageId id : std::exchange(starred_, {})) tell_changed(id);
  if (std::exchange(settled_, false)) tell_chat();
}

void ChatCommand::on_commit_failed(Error error) {
  const bool full = error.code == Code::kFull;
  for (const Composed& each : std::exchange(composed_, {})) {
    Json object = error_json(code_name(error.code),
                             full ? "not sent: the disk is full" : std::string(error.text));
    object["text_back"] = each.text;
    emit(object);
  }
}

void ChatCommand::tell_info(const client::Message& message) {
  const auto time = [](Instant at) { return at.ms == 0 ? Json() : Json(at.ms); };
  Json object = {{"type", "info"},
                 {"id", id_text(message.id)},
                 {"composed_ms", message.composed.ms},
                 {"members", Json::array()}};
  const auto put = [&](const std::string& phone, Instant delivered, Instant read) {
    object["members"].push_back(
        {{"phone", phone}, {"delivered_ms", time(delivered)}, {"read_ms", time(read)}});
  };
  for (const client::Arrival& arrival : message.arrivals) {
    put(name(arrival.member), arrival.delivered, arrival.read);
  }
  if (message.direction == client::Direction::kOut && !message.chat.is_group()) {
    put(message.phone, message.delivered, message.read);
  }
  emit(object);
}

// ---- what is wished

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
    return;
  }
  if (obey_simple(wish)) return;
  const auto done = obey_act(wish);
  if (!done) {
    emit(error_json(code_name(done.error().code), done.error().text));
  } else if (!*done) {
    emit(error_json("invalid", "say {\"send\":\"text\"}, {\"older\":true} or {\"read\":true}"));
  }
}

bool ChatCommand::obey_simple(const Json& wish) {
  if (wish.contains("send")) send(wish);
  else if (wish.contains("older")) older();
  else if (wish.contains("read")) mark_read();
  else if (wish.contains("search")) search(text_at(wish, "search"));
  else if (wish.contains("typing")) {
    client_.act([&](auto& engine, Env& env, auto& out) {
      engine.set_typing(chat_, flag_at(wish, "typing"), env, out);
      return 0;
    });
  } else if (wish.contains("draft")) {
    // A draft is a courtesy: there is no chat yet, or no room.
    (void)client_.act([&](auto& engine, Env& env, auto& out) {
      return engine.change_chat(chat_, {.draft = text_at(wish, "draft")}, env, out);
    });
  } else {
    return false;
  }
  return true;
}

// True: there was such a wish.
Result<bool> ChatCommand::obey_act(const Json& wish) {
  if (wish.contains("poll")) {
    client::Text text{.body = text_at(wish, "poll")};
    text.extras.poll = client::Poll{texts_at(wish, "options"), flag_at(wish, "multiple")};
    GODWIT_TRY(send(std::move(text)));
    return true;
  }
  if (wish.contains("disappear")) {
    GODWIT_TRY(disappear(text_at(wish, "disappear")));
    return true;
  }
  std::string id;
  for (const char* verb :
       {"react", "edit", "delete", "vote", "pin", "star", "open", "forward", "info"}) {
    if (wish.contains(verb)) id = text_at(wish, verb);
  }
  if (id.empty()) return false;
  const auto found = client::find_messages(client_.store(), id);
  if (!found) return fail(found.error());
  if (found->size() != 1) return fail(Code::kNotFound, "no message, or several, have this id");
  GODWIT_TRY(on_message(wish, found->front()));
  return true;
}

Result<void> ChatCommand::on_message(const Json& wish, const client::Message& message) {
  if (wish.contains("react")) {
    return act(message, {.kind = Kind::kReaction, .text = text_at(wish, "emoji")});
  }
  if (wish.contains("edit")) {
    return act(message, {.kind = Kind::kEdit, .text = text_at(wish, "text")});
  }
  if (wish.contains("delete") && !flag_at(wish, "for_me")) {
    return act(message, {.kind = Kind::kDeletion});
  }
  if (wish.contains("vote")) {
    Act ballot{.kind = Kind::kVote};
    const auto options = wish.find("options");
    for (const Json& each : options != wish.end() && options->is_array() ? *options : Json()) {
      const std::int64_t number = each.is_number_integer() ? each.get<std::int64_t>() : 0;
      const auto& poll = message.extras.poll;
      if (!poll || number < 1 || number > static_cast<std::int64_t>(poll->options.size())) {
        return fail(Code::kInvalid, "vote with the numbers of the options, from 1 on");
      }
      ballot.choices.push_back(static_cast<std::uint8_t>(number - 1));
    }
    return act(message, std::move(ballot));
  }
  const bool on = !wish.contains("on") || flag_at(wish, "on");
  if (wish.contains("pin")) {
    return act(message, {.kind = Kind::kPin, .on = on});
  }
  if (wish.contains("forward")) return forward(wish, message);
  if (wish.contains("info")) {
    tell_info(message);
    return {};
  }
  if (wish.contains("star")) starred_.insert(message.id);
  return client_.act([&](auto& engine, Env& env, auto& out) -> Result<void> {
    if (wish.contains("star")) engine.set_starred(message, on, env, out);
    else if (wish.contains("delete")) engine.erase(message, env, out);
    else {
      const auto opened = engine.open_once(message, env, out);
      if (!opened) return fail(opened.error());
      emit({{"type", "opened"}, {"id", id_text(message.id)}, {"text", opened->body}});
    }
    return {};
  });
}

Result<void> ChatCommand::act(const client::Message& message, Act act) {
  act.target = message.id;
  return client_.act([&](auto& engine, Env& env, auto& out) {
    return engine.act(message.chat, std::move(act), env, out);
  });
}

Result<void> ChatCommand::forward(const Json& wish, const client::Message& message) {
  std::vector<client::Recipient> recipients;
  for (const std::string& text : texts_at(wish, "to")) {
    if (text.starts_with('+')) {
      recipients.emplace_back(text);
      continue;
    }
    const auto group = find_group(client_.engine(), text);
    if (!group) return fail(group.error());
    recipients.emplace_back(group->id);
  }
  const auto ids = client_.act([&](auto& engine, Env& env, auto& out) {
    return engine.forward(message, recipients, env, out);
  });
  if (!ids) return fail(ids.error());
  for (std::size_t i = 0; i < ids->size(); ++i) {
    if (chat_of(recipients[i]) == chat_) composed_.push_back({(*ids)[i], message.text, now()});
  }
  emit({{"type", "forwarded"}, {"id", id_text(message.id)}, {"to", texts_at(wish, "to")}});
  return {};
}

Result<void> ChatCommand::disappear(const std::string& time) {
  const auto lifetime = parse_lifetime(time);
  if (!lifetime || *lifetime > limits::kLongestLifetime) {
    return fail(Code::kInvalid, "write a time as 24h, 7d, 90d (at most 365d), or off");
  }
  client::Text text;
  text.extras.sets_lifetime = true;
  text.extras.lifetime = *lifetime;
  settled_ = true;
  return send(std::move(text));
}

Result<void> ChatCommand::send(client::Text text) {
  std::string body = text.body;
  const auto id = client_.act([&](auto& engine, Env& env, auto& out) {
    return engine.send(with_, std::move(text), {}, env, out);
  });
  if (!id) return fail(id.error());
  composed_.push_back({*id, std::move(body), now()});
  mine_.insert(*id);
  return {};
}

void ChatCommand::send(const Json& wish) {
  client::Text text{.body = text_at(wish, "send")};
  text.extras.view_once = flag_at(wish, "view_once");
  text.extras.mentions = mentions_in(text.body);
  if (!std::holds_alternative<GroupId>(with_)) text.extras.mentions.clear();
  Result<void> sent{};
  if (const std::string answered = text_at(wish, "reply"); !answered.empty()) {
    auto quote = quote_of(answered, client_.store());
    if (quote) text.extras.quote = std::move(*quote);
    else sent = fail(quote.error());
  }
  const std::string body = text.body;
  if (sent) sent = send(std::move(text));
  if (sent) return;
  Json object = error_json(code_name(sent.error().code), sent.error().text);
  object["text_back"] = body;
  emit(object);
}

void ChatCommand::search(const std::string& words) {
  const auto found = client::search(client_.store(), words, chat_, kFound);
  if (!found) return emit(error_json(code_name(found.error().code), found.error().text));
  for (const client::Message& message : *found) {
    Json object = history_json(message, names());
    object["found"] = true;
    emit(object);
  }
  emit({{"type", "found"}, {"count", found->size()}});
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
  (void)client_.act(
      [&](auto& engine, Env& env, auto& out) { return engine.mark_read(chat_, env, out); });
}

}  // namespace godwit::cli
