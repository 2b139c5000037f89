// What people do with messages and chats.
#include <algorithm>

#include "client/engine.h"
#include "client/engine_state.h"
#include "client/search.h"

namespace godwit::client {

using ports::Space;

std::uint64_t Engine::State::take_order(Turn& turn) {
  turn.ledger = true;
  return ledger.next_order++;
}

std::uint64_t Engine::State::take_revision(Turn& turn) {
  turn.ledger = true;
  const auto now = static_cast<std::uint64_t>(std::max<std::int64_t>(turn.env.now.ms, 1));
  return ledger.revision = std::max(ledger.revision + 1, now);
}

MessageId Engine::State::note_to_self(Text text, Turn& turn) {
  const std::uint64_t order = take_order(turn);
  const Profile& own = registration.profile();
  Message message{.id = MessageId::random(turn.env.entropy),
                  .chat = own.user,
                  .phone = own.phone,
                  .direction = Direction::kOut,
                  .status = Status::kRead,
                  .composed = turn.env.now,
                  .received = turn.env.now,
                  .text = std::move(text.body),
                  .extras = std::move(text.extras)};
  journal.add(message, order, turn);
  if (!message.extras.sets_lifetime) {
    journal.start_lifetime(own.user, order, message.id, message.extras.lifetime, turn);
  }
  turn.notify(StatusChanged{message.id, message.chat, {}, own.phone, Status::kRead, {}});
  return message.id;
}

ChatId Engine::State::chat_with(std::string_view phone) const {
  const Profile& own = registration.profile();
  if (registration.registered() && phone == own.phone) return own.user;
  const ContactRow* contact = contacts.find(phone);
  return contact ? ChatId(contact->contact.user) : ChatId();
}

Rights Engine::State::rights(ChatId chat) const {
  const UserId own = registration.profile().user;
  return chat.is_group() ? groups.rights(chat.group(), own, Groups::kNow) : Rights{};
}

Result<MessageId> Engine::State::send(const Recipient& to, Text text, Turn& turn) {
  const auto* group = std::get_if<GroupId>(&to);
  const std::string phone = group ? std::string() : std::get<std::string>(to);
  const ChatId chat = group ? ChatId(*group) : chat_with(phone);
  const Extras extras = text.extras;
  if (extras.sets_lifetime && chat.is_nil()) {
    return fail(Code::kNotFound, "write to this number first");
  }
  if (extras.sets_lifetime && !rights(chat).edits) {
    return fail(Code::kForbidden, "only admins say how long this group's messages last");
  }
  if (!extras.sets_lifetime && extras.lifetime.ms == 0) {
    text.extras.lifetime = chats.of(chat).lifetime;
  }
  const auto id = [&]() -> Result<MessageId> {
    if (group) return groups.send(*group, std::move(text), turn);
    if (chat == ChatId(registration.profile().user)) return note_to_self(std::move(text), turn);
    const ContactRow* contact = contacts.find(phone);
    const auto queued = outbox.add_text(phone, contact, std::move(text), turn);
    if (!queued) return queued;
    if (contact) courier.wake(contact->contact.user);
    else lookups.want_fresh(phone);
    return queued;
  }();
  if (id && extras.sets_lifetime) chats.set_lifetime(chat, extras.lifetime, turn.env.now, turn);
  return id;
}

Result<MessageId> Engine::send_text(std::string_view phone, std::string_view text,
                                    SendOptions options, Env& env, Effects& out) {
  return send(std::string(phone), Text{.body = std::string(text)}, options, env, out);
}

// What can be refused wherever it is to go.
Result<void> Engine::check(const Text& text, SendOptions options) const {
  if (!registered()) return fail(Code::kUnauthenticated, "register this device first");
  const Extras& extras = text.extras;
  const bool carries = extras.card || extras.place || extras.sets_lifetime;
  if (text.body.empty() && !options.allow_empty && !carries) {
    return fail(Code::kInvalid, "the message is empty");
  }
  if (text.body.size() > limits::kMaxText) {
    return fail(Code::kTooLarge, "a message holds at most 64 KiB of text; split it");
  }
  if (!is_utf8(view_of(text.body))) return fail(Code::kInvalid, "the message is not UTF-8 text");
  // What decode() would refuse must not leave.
  if (!well_formed(extras) || !decode<Extras>(encode(extras))) {
    return fail(Code::kInvalid, "what goes with the message is too long, or not UTF-8");
  }
  return {};
}

Result<MessageId> Engine::send(const Recipient& to, Text text, SendOptions options, Env& env,
                               Effects& out) {
  if (const auto good = check(text, options); !good) return fail(good.error());
  if (const auto* phone = std::get_if<std::string>(&to); phone != nullptr) {
    if (!is_phone(*phone)) {
      return fail(Code::kInvalid, "write the number as +, country code and number, digits only");
    }
    if (*phone == profile().phone && text.extras.view_once) {
      return fail(Code::kInvalid, "a note to oneself cannot be viewed once only");
    }
  }
  Turn turn = state_->begin(env);
  const auto id = state_->send(to, std::move(text), turn);
  state_->finish(turn, out);
  return id;
}

Result<std::vector<MessageId>> Engine::forward(const Message& message,
                                               const std::vector<Recipient>& recipients, Env& env,
                                               Effects& out) {
  if (message.deleted || message.extras.view_once) {
    return fail(Code::kForbidden, "this message cannot be forwarded");
  }
  if (recipients.size() > limits::kForwardChats) {
    return fail(Code::kForbidden, "a message is forwarded to at most 5 chats at a time");
  }
  if (recipients.size() > 1 && message.extras.forwards >= limits::kManyForwards) {
    return fail(Code::kForbidden,
                "this message was forwarded many times: it goes to one chat at a time");
  }
  std::vector<MessageId> ids;
  for (const Recipient& to : recipients) {
    Text text{.body = message.text, .extras = message.extras};
    text.extras.quote.reset();
    text.extras.mentions.clear();
    text.extras.lifetime = {};
    text.extras.sets_lifetime = false;
    text.extras.forwards = std::min(message.extras.forwards, 1000u) + 1;
    const auto id = send(to, std::move(text), {}, env, out);
    if (!id) return fail(id.error());
    ids.push_back(*id);
  }
  return ids;
}

Result<void> Engine::State::tell(ChatId chat, const Message* about, const Act& act, Turn& turn) {
  if (chat == ChatId(registration.profile().user)) return {};
  if (!chat.is_group()) return outbox.add_act(chat.user(), {}, act, turn);
  if (act.kind != Act::Kind::kOpened) return groups.act(chat.group(), act, turn);
  // Its writer alone need know.
  if (!about || !groups.has_member(chat.group(), about->from)) return {};
  const auto queued = outbox.add_act(about->from, chat.group(), act, turn);
  courier.wake(about->from);
  return queued;
}

Result<void> Engine::act(ChatId chat, Act act, Env& env, Effects& out) {
  return do_act(chat, nullptr, std::move(act), env, out);
}

Result<void> Engine::do_act(ChatId chat, const Message* about, Act act, Env& env, Effects& out) {
  if (!registered()) return fail(Code::kUnauthenticated, "register this device first");
  const bool known = chat == ChatId(profile().user) || state_->contacts.knows(chat.user()) ||
                     state_->groups.knows(chat.group());
  if (!known) return fail(Code::kNotFound, "there is no such chat");
  act.revision = 1;  // a real one below
  if (act.kind == Act::Kind::kEdit && act.text.empty()) {
    return fail(Code::kInvalid, "the new text is empty; delete the message instead");
  }
  if (!well_formed(act) || !decode<Act>(encode(act))) {
    return fail(Code::kInvalid, act.kind == Act::Kind::kReaction
                                    ? "a reaction is one emoji"
                                    : "this is too long, or not UTF-8");
  }
  const Rights rights = state_->rights(chat);
  if (const auto no = state_->journal.refusal(chat, act, rights, env.now); !no.empty()) {
    return fail(Code::kForbidden, no);
  }
  Turn turn = state_->begin(env);
  act.revision = state_->take_revision(turn);
  if (const auto queued = state_->tell(chat, about, act, turn); !queued) {
    state_->finish(turn, out);
    return queued;
  }
  const ContactRow* contact = state_->contacts.find(chat.user());
  // Who is an admin may not be one any more when the group hears of it: then it never happened.
  if (!chat.is_group() || !state_->journal.needs_rights(chat, act)) {
    state_->journal.apply(chat, {}, rights, env.now, act, turn);
    const std::string& phone = contact ? contact->contact.phone : profile().phone;
    turn.notify(MessageChanged{chat, {}, phone, std::move(act)});
  }
  if (contact) state_->courier.wake(chat.user());
  state_->finish(turn, out);
  return {};
}

void Engine::erase(const Message& message, Env& env, Effects& out) {
  Turn turn = state_->begin(env);
  state_->journal.erase(message.chat, message.order, message.id, turn);
  state_->finish(turn, out);
}

Result<Text> Engine::open_once(const Message& message, Env& env, Effects& out) {
  if (!message.extras.view_once || message.direction != Direction::kIn || message.opened ||
      message.deleted) {
    return fail(Code::kNotFound, "this message was opened already, or can be read at any time");
  }
  Text text{.body = message.text, .extras = message.extras};
  {
    Turn turn = state_->begin(env);
    state_->journal.empty_once(message, turn);
    state_->finish(turn, out);
  }
  // That it was opened is a courtesy to its sender: the outbox may be full.
  (void)do_act(message.chat, &message, {.kind = Act::Kind::kOpened, .target = message.id}, env,
               out);
  return text;
}

void Engine::set_starred(const Message& message, bool on, Env& env, Effects& out) {
  Turn turn = state_->begin(env);
  state_->journal.star(message.chat, message.id, on, turn);
  state_->finish(turn, out);
}

// ---- chats

ChatId Engine::chat(std::string_view phone) const { return state_->chat_with(phone); }
const ChatRow& Engine::chat(ChatId chat) const { return state_->chats.of(chat); }
std::vector<MessageId> Engine::pins(ChatId chat) const { return state_->chats.pins(chat); }
std::size_t Engine::unread(ChatId chat) const { return state_->chats.unread(chat); }
std::size_t Engine::mentions(ChatId chat) const { return state_->chats.mentions(chat); }
std::vector<ChatId> Engine::unread_chats() const { return state_->chats.unread_chats(); }

Result<void> Engine::change_chat(ChatId chat, ChatChange change, Env& env, Effects& out) {
  if (chat.is_nil()) return fail(Code::kNotFound, "there is no such chat");
  if (change.draft &&
      (change.draft->size() > limits::kMaxText || !is_utf8(view_of(*change.draft)))) {
    return fail(Code::kInvalid, "a draft holds at most 64 KiB of UTF-8 text");
  }
  Turn turn = state_->begin(env);
  if (change.archived) state_->chats.set_archived(chat, *change.archived, turn);
  if (change.muted_until) state_->chats.set_muted_until(chat, *change.muted_until, turn);
  if (change.draft) state_->chats.set_draft(chat, std::move(*change.draft), turn);
  state_->finish(turn, out);
  return {};
}

Result<void> Engine::mark_read(ChatId chat, Env& env, Effects& out) {
  if (chat.is_nil()) return fail(Code::kNotFound, "there is no such chat");
  Turn turn = state_->begin(env);
  std::map<UserId, std::vector<MessageId>> ids;
  for (const Unread& message : state_->chats.read(chat, UINT64_MAX, turn)) {
    state_->journal.start_lifetime(chat, message.order, message.id, message.lifetime, turn);
    ids[message.from].push_back(message.id);
  }
  if (state_->settings.hides_reading) ids.clear();
  for (const auto& [user, read] : ids) {
    for (std::span<const MessageId> left = read; !left.empty();) {
      const auto some = left.first(std::min(left.size(), Receipt::kMaxIds));
      state_->outbox.add_receipt(user, chat.group(), state_->groups.receipts_within(chat.group()),
                                 {Status::kRead, {some.begin(), some.end()}}, turn);
      left = left.subspan(some.size());
    }
    state_->courier.wake(user);
  }
  state_->finish(turn, out);
  return {};
}

// ---- settings, broadcast lists

bool Engine::tells_reading() const { return !state_->settings.hides_reading; }

void Engine::set_tells_reading(bool on, Env& env, Effects& out) {
  Turn turn = state_->begin(env);
  state_->settings.hides_reading = !on;
  if (on) turn.erase(Space::kProfile, row_key('X'));
  else turn.put(Space::kProfile, row_key('X'), encode(state_->settings));
  state_->finish(turn, out);
}

std::vector<BroadcastList> Engine::broadcast_lists() const {
  std::vector<BroadcastList> out;
  for (const auto& [name, list] : state_->lists) out.push_back(list);
  return out;
}

const BroadcastList* Engine::broadcast_list(std::string_view name) const {
  const auto found = state_->lists.find(folded(name));
  return found == state_->lists.end() ? nullptr : &found->second;
}

Result<void> Engine::put_broadcast_list(BroadcastList list, Env& env, Effects& out) {
  const std::string key = is_utf8(view_of(list.name)) ? folded(list.name) : std::string();
  if (key.empty() || list.name.size() > limits::kMaxName) {
    return fail(Code::kInvalid, "give the list a name of letters or digits");
  }
  if (list.numbers.empty() || list.numbers.size() > limits::kBroadcastNumbers) {
    return fail(Code::kInvalid, "a broadcast list holds 1 to 256 numbers");
  }
  if (!std::ranges::all_of(list.numbers, is_phone)) {
    return fail(Code::kInvalid, "write the numbers as +, country code and number, digits only");
  }
  if (!state_->lists.contains(key) && state_->lists.size() >= limits::kBroadcastLists) {
    return fail(Code::kFull, "there are 256 broadcast lists: delete one first");
  }
  Turn turn = state_->begin(env);
  turn.put(Space::kContact, list_row_key(key), encode(list));
  state_->lists[key] = std::move(list);
  state_->finish(turn, out);
  return {};
}

Result<void> Engine::drop_broadcast_list(std::string_view name, Env& env, Effects& out) {
  const std::string key = folded(name);
  if (!state_->lists.contains(key)) return fail(Code::kNotFound, "there is no such broadcast list");
  Turn turn = state_->begin(env);
  turn.erase(Space::kContact, list_row_key(key));
  state_->lists.erase(key);
  state_->finish(turn, out);
  return {};
}

}  // namespace godwit::client
