// What the person who holds a device does with messages and chats.
#include <algorithm>
#include <ranges>

#include "client/history.h"
#include "sim/device.h"

namespace godwit::sim {

client::Text Device::write(const TextId& id, std::size_t size) {
  client::Text text{.body = write_text(id, size)};
  if (!lively_) return text;
  const std::uint64_t what = life_.luck.below(12);
  if (what == 0) text.extras.poll = client::Poll{{"now", "later", "never"}};
  if (what == 1) text.extras.lifetime = between(life_.luck, seconds(5), minutes(3));
  return text;
}

bool Device::compose(const client::Recipient& to, const TextId& id, std::size_t size) {
  Env env{now(), entropy_};
  client::Effects out;
  client::Text text = write(id, size);
  const bool fades = text.extras.lifetime.ms != 0;
  const auto sent = engine_->send(to, std::move(text), {}, env, out);
  if (sent && fades) {
    life_.checkers.never_lost.fades(id);
    life_.checkers.shown_once.taken_back(id);
  }
  life_.note(name_, sent ? "composes" : "may not compose", id.number);
  queue(std::move(out), sent ? std::optional(id) : std::nullopt);
  return sent.has_value();
}

bool Device::compose(const Device& to, std::size_t size) {
  if (!running() || !engine_->registered()) return false;
  const TextId id{index_, generation_, to.index_, written_[to.index_] + 1};
  if (!compose(to.phone_, id, size)) return false;
  ++written_[to.index_];
  return true;
}

bool Device::speak(GroupId group, std::uint32_t number, std::size_t size,
                   std::vector<std::uint32_t> readers) {
  if (!running() || !engine_->registered()) return false;
  const TextId id{index_, generation_, 0, spoken_[number] + 1, number};
  life_.checkers.never_lost.addressed(id, std::move(readers));
  if (!compose(group, id, size)) return false;
  ++spoken_[number];
  return true;
}

void Device::read_all(const Device& from) {
  if (!running() || !engine_->registered()) return;
  life_.note(name_, "reads", from.index_);
  read_all(chat_with(from));
}

void Device::read_all(client::ChatId chat) {
  (void)does([&](auto& engine, Env& env, auto& out) { return engine.mark_read(chat, env, out); });
}

client::ChatId Device::chat_with(const Device& other) const {
  return engine_ ? engine_->chat(other.phone_) : client::ChatId();
}

// ---- what is done to messages

std::optional<client::Act> Device::draw_act(const client::Message& message) {
  using Kind = client::Act::Kind;
  client::Act act{.target = message.id};
  const auto text = read_text(message.text);
  const std::uint64_t what = life_.luck.below(11);
  if (what < 5) {
    static constexpr std::string_view kEmoji[] = {"+", "-", "!", ""};
    act.kind = Kind::kReaction;
    act.text = kEmoji[static_cast<std::size_t>(life_.luck.below(4))];
  } else if (what == 5) {
    act.kind = Kind::kPin;
    act.on = life_.luck.below(3) != 0;
  } else if (message.extras.poll) {
    act.kind = Kind::kVote;
    act.choices = {static_cast<std::uint8_t>(life_.luck.below(3))};
  } else if (!text) {
    return std::nullopt;
  } else if (what < 9) {
    act.kind = Kind::kEdit;
    act.text = write_text(*text, static_cast<std::size_t>(life_.luck.below(300)));
  } else {
    act.kind = Kind::kDeletion;
  }
  return act;
}

// As the rules say it, and not the engine.
bool Device::may(const client::Message& message, const client::Act& act) {
  using Kind = client::Act::Kind;
  bool admin = !message.chat.is_group();
  for (const auto& member : view(message.chat.group()).members) {
    admin = admin || (member.user == user_ && member.admin);
  }
  if (act.kind == Kind::kPin) return admin;
  const bool own = message.direction == client::Direction::kOut;
  if (act.kind == Kind::kEdit) return own && now() <= message.composed + minutes(15);
  if (act.kind != Kind::kDeletion) return true;
  return (own && now() <= message.composed + days(2)) || (message.chat.is_group() && admin);
}

void Device::fiddle(client::ChatId chat, const Device& other) {
  if (!running() || !engine_->registered() || chat.is_nil()) return;
  const auto page = client::read_history(disk_.rows(), chat, {}, 20);
  if (!page || page->messages.empty()) return;
  const auto& message =
      page->messages[static_cast<std::size_t>(life_.luck.below(page->messages.size()))];
  if (life_.luck.below(16) == 0) return pass_on(message, other);
  const auto act = draw_act(message);
  if (!act) return;
  const bool right = may(message, *act);
  const auto done =
      does([&](auto& engine, Env& env, auto& out) { return engine.act(chat, *act, env, out); });
  if (!done) return;
  life_.note(name_, "acts", static_cast<std::uint64_t>(act->kind));
  ++life_.statistics.acts;
  if (!right) {
    life_.verdict.broken("acts_by_right", name_ + " does what it may not do: " +
                                              std::to_string(static_cast<int>(act->kind)));
  }
  if (act->kind != client::Act::Kind::kDeletion) return;
  if (const auto text = read_text(message.text)) {
    life_.checkers.never_lost.taken_back(*text);
    life_.checkers.shown_once.taken_back(*text);
  }
}

void Device::pass_on(const client::Message& message, const Device& to) {
  std::vector<MessageId> made;
  const auto done = does([&](auto& engine, Env& env, auto& out) -> Result<void> {
    auto ids = engine.forward(message, {to.phone_}, env, out);
    if (ids) made = std::move(*ids);
    return ids ? Result<void>() : fail(ids.error());
  });
  if (!done) return;
  ++life_.statistics.acts;
  life_.checkers.forwards_counted.passed_on(made.front(), message.extras.forwards + 1);
}

std::map<MessageId, std::string> Device::acts_in(client::ChatId chat) {
  std::map<MessageId, std::string> out;
  const std::vector<MessageId> pins = engine_->pins(chat);
  const auto name = [&](UserId user) { return to_hex((user.is_nil() ? user_ : user).view()); };
  for (const client::Message& message : history()) {
    if (message.chat != chat || message.status == client::Status::kFailed) continue;
    std::string& words = out[message.id];
    words = message.deleted ? "deleted" : message.edited ? "edited " : "";
    if (message.edited) words += std::to_string(std::hash<std::string>()(message.text));
    if (std::ranges::find(pins, message.id) != pins.end()) words += " pinned";
    std::map<std::string, std::string> by;
    for (const client::Reaction& reaction : message.reactions) {
      by[name(reaction.from)] = reaction.emoji;
    }
    for (const client::Vote& vote : message.votes) by[name(vote.from)] += to_hex(vote.choices);
    for (const auto& [user, what] : by) words += " " + user + what;
  }
  return out;
}

Result<void> Device::does(const Deed& deed) {
  if (!running()) return fail(Code::kUnavailable, "the device is off");
  return tell([&](Env& env, client::Effects& out) { return deed(*engine_, env, out); });
}

}  // namespace godwit::sim
