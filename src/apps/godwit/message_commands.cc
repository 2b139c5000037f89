#include "apps/godwit/message_commands.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdlib>

#include "client/history.h"
#include "client/search.h"

namespace godwit::cli {
namespace {

using client::Act;
using Kind = client::Act::Kind;

constexpr Duration kLook = milliseconds(20);
constexpr std::size_t kResults = 50;

bool names_message(Verb verb) { return verb >= Verb::kReact && verb <= Verb::kInfo; }

Result<client::Place> parse_place(const std::string& text) {
  const auto wrong = fail(Code::kInvalid, "write a place as 48.8566,2.3522,NAME");
  char* end = nullptr;
  const double latitude = std::strtod(text.c_str(), &end);
  if (end == text.c_str() || *end != ',') return wrong;
  const char* second = end + 1;
  const double longitude = std::strtod(second, &end);
  if (end == second || (*end != ',' && *end != '\0')) return wrong;
  if (!(std::abs(latitude) <= 90) || !(std::abs(longitude) <= 180)) return wrong;
  return client::Place{std::llround(latitude * 1e7), std::llround(longitude * 1e7),
                       *end == ',' ? std::string(end + 1) : std::string()};
}

}  // namespace

std::optional<Duration> parse_lifetime(std::string_view text) {
  if (text == "off") return Duration{};
  std::int64_t count = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), count);
  if (error != std::errc() || count <= 0 || count > 1'000'000) return std::nullopt;
  const std::string_view unit(end, text.data() + text.size());
  if (unit == "s") return seconds(count);
  if (unit == "m") return minutes(count);
  if (unit == "h") return hours(count);
  if (unit == "d") return days(count);
  return std::nullopt;
}

Result<client::Quote> quote_of(const std::string& id, ports::Store& store) {
  const auto quoted = client::find_messages(store, id);
  if (!quoted) return fail(quoted.error());
  if (quoted->size() != 1) {
    return fail(Code::kInvalid, "no message, or several, have the id that is to be answered");
  }
  const client::Message& message = quoted->front();
  std::string snippet = message.extras.view_once ? std::string() : message.text.substr(0, 200);
  while (utf8_error(snippet) != std::string::npos) snippet.pop_back();
  return client::Quote{message.id, std::move(snippet)};
}

std::vector<std::string> mentions_in(std::string_view text) {
  std::vector<std::string> out;
  for (std::size_t at = 0; (at = text.find("@+", at)) != std::string_view::npos;) {
    std::size_t end = ++at + 1;
    while (end < text.size() && text[end] >= '0' && text[end] <= '9') ++end;
    const std::string number(text.substr(at, end - at));
    const bool known = std::ranges::find(out, number) != out.end();
    if (client::is_phone(number) && !known && out.size() < limits::kMentions) {
      out.push_back(number);
    }
  }
  return out;
}

Result<client::Extras> extras_of(const Options& options, ports::Store& store) {
  client::Extras extras;
  extras.view_once = options.view_once;
  extras.mentions = options.mentions;
  if (!options.reply_to.empty()) {
    auto quote = quote_of(options.reply_to, store);
    if (!quote) return fail(quote.error());
    extras.quote = std::move(*quote);
  }
  if (!options.preview_url.empty()) {
    extras.preview =
        client::Preview{options.preview_url, options.preview_title, options.preview_text};
  }
  if (!options.contact.empty()) {
    extras.card = client::Card{options.contact.at(0), options.contact.at(1)};
  }
  if (!options.location.empty()) {
    auto place = parse_place(options.location);
    if (!place) return fail(place.error());
    extras.place = std::move(*place);
  }
  return extras;
}

ActCommand::ActCommand(Context context, Options options)
    : Command(std::move(context), std::move(options)), again_(client_.loop()) {}

void ActCommand::start() {
  if (!require_account()) return;
  std::optional<client::Message> message;
  if (names_message(options_.verb)) {
    message = find_message(options_.message);
    if (!message) return;
  }
  patience_ = now() + offline_patience();
  const Result<void> done = message ? on_message(*message) : perform();
  if (!done) {
    if (!done.error().text.empty()) refuse(done.error());  // else it was said already
    return;
  }
  if (leaves_) client_.go_online();
  acted_ = true;
  if (committed_) wait();
  // Nothing was changed: nothing is committed, either.
  again_.set(kLook, [this] { wait(); });
}

Result<void> ActCommand::act(const client::Message& message, Act act) {
  act.target = message.id;
  leaves_ = true;
  return client_.act([&](auto& engine, Env& env, auto& out) {
    return engine.act(message.chat, std::move(act), env, out);
  });
}

Result<void> ActCommand::on_message(const client::Message& message) {
  result_ = {{"type", "done"}, {"for", id_text(message.id)}};
  const std::string text = options_.text.value_or("");
  switch (options_.verb) {
    case Verb::kReact:
      if (text.empty() != options_.clear) {
        return fail(Code::kInvalid, "give an emoji, or --remove");
      }
      return act(message, {.kind = Kind::kReaction, .text = text});
    case Verb::kEdit: return act(message, {.kind = Kind::kEdit, .text = text});
    case Verb::kDelete:
      if (!options_.for_me) return act(message, {.kind = Kind::kDeletion});
      client_.act([&](auto& engine, Env& env, auto& out) {
        engine.erase(message, env, out);
        return 0;
      });
      return {};
    case Verb::kPin:
    case Verb::kUnpin: return act(message, {.kind = Kind::kPin, .on = options_.verb == Verb::kPin});
    case Verb::kStar:
    case Verb::kUnstar:
      client_.act([&](auto& engine, Env& env, auto& out) {
        engine.set_starred(message, options_.verb == Verb::kStar, env, out);
        return 0;
      });
      return {};
    case Verb::kVote: return vote(message);
    case Verb::kOpen: {
      const auto opened = client_.act(
          [&](auto& engine, Env& env, auto& out) { return engine.open_once(message, env, out); });
      if (!opened) return fail(opened.error());
      result_["text"] = opened->body;
      said_ = printable(opened->body, true);
      leaves_ = true;
      return {};
    }
    default: {
      std::vector<client::Recipient> recipients;
      for (const std::string& word : options_.words) {
        const auto to = recipient(word);
        if (!to) return fail(Code::kNotFound, {});
        recipients.push_back(*to);
      }
      const auto ids = client_.act([&](auto& engine, Env& env, auto& out) {
        return engine.forward(message, recipients, env, out);
      });
      if (!ids) return fail(ids.error());
      for (std::size_t i = 0; i < ids->size(); ++i) {
        sent_[(*ids)[i]] = {{"id", id_text((*ids)[i])}, {"to", options_.words[i]}};
      }
      leaves_ = true;
      return {};
    }
  }
}

Result<void> ActCommand::vote(const client::Message& message) {
  const auto& poll = message.extras.poll;
  if (!poll) return fail(Code::kInvalid, "this message is not a poll");
  if (options_.words.size() > 1 && !poll->multiple) {
    return fail(Code::kInvalid, "only one answer may be chosen here");
  }
  Act ballot{.kind = Kind::kVote};
  for (const std::string& word : options_.words) {
    const auto number = static_cast<std::size_t>(std::strtoul(word.c_str(), nullptr, 10));
    if (number == 0 || number > poll->options.size()) {
      return fail(Code::kInvalid, "vote with the numbers of the options, from 1 on");
    }
    ballot.choices.push_back(static_cast<std::uint8_t>(number - 1));
  }
  return act(message, std::move(ballot));
}

Result<void> ActCommand::send(const client::Recipient& to, client::Text text) {
  const auto id = client_.act([&](auto& engine, Env& env, auto& out) {
    return engine.send(to, std::move(text), {}, env, out);
  });
  if (!id) return fail(id.error());
  leaves_ = true;
  const auto* phone = std::get_if<std::string>(&to);
  sent_[*id] = {{"id", id_text(*id)}, {"to", phone ? *phone : options_.phone}};
  return {};
}

Result<void> ActCommand::perform() {
  if (options_.verb == Verb::kBroadcast) return broadcast();
  if (options_.verb == Verb::kSettings) return settings();
  const auto to = recipient(options_.phone);
  if (!to) return fail(Code::kNotFound, {});
  if (options_.verb == Verb::kPoll) {
    client::Text text{.body = options_.text.value_or("")};
    text.extras.poll = client::Poll{options_.words, options_.multiple};
    return send(*to, std::move(text));
  }
  const client::ChatId chat = chat_of(*to);
  if (chat.is_nil()) return fail(Code::kNotFound, "no conversation with this number yet");
  return on_chat(*to, chat);
}

Result<void> ActCommand::on_chat(const client::Recipient& to, client::ChatId chat) {
  client::Engine::ChatChange change;
  result_ = {{"type", "done"}, {"chat", chat.is_group() ? who({}, chat) : options_.phone}};
  switch (options_.verb) {
    case Verb::kArchive:
    case Verb::kUnarchive: change.archived = options_.verb == Verb::kArchive; break;
    case Verb::kUnmute: change.muted_until = Instant{}; break;
    case Verb::kMute: {
      change.muted_until = kNever;
      if (options_.lifetime.empty()) break;
      const auto time = parse_lifetime(options_.lifetime);
      if (!time) return fail(Code::kInvalid, "write a time as 8h, 7d or 30m");
      change.muted_until = now() + *time;
      break;
    }
    case Verb::kDraft:
      if (options_.text || options_.clear) change.draft = options_.text.value_or("");
      result_["draft"] = change.draft ? *change.draft : client_.engine().chat(chat).draft;
      said_ = printable(result_["draft"].get<std::string>(), true);
      break;
    default: {
      const auto time = parse_lifetime(options_.lifetime);
      if (!time || *time > limits::kLongestLifetime) {
        return fail(Code::kInvalid, "write a time as 24h, 7d, 90d (at most 365d), or off");
      }
      client::Text text;
      text.extras.sets_lifetime = true;
      text.extras.lifetime = *time;
      return send(to, std::move(text));
    }
  }
  return client_.act([&](auto& engine, Env& env, auto& out) {
    return engine.change_chat(chat, std::move(change), env, out);
  });
}

Result<void> ActCommand::settings() {
  if (options_.text) {
    client_.act([&](auto& engine, Env& env, auto& out) {
      engine.set_tells_reading(*options_.text == "on", env, out);
      return 0;
    });
  }
  const bool on = client_.engine().tells_reading();
  result_ = {{"type", "settings"}, {"read_receipts", on}};
  said_ = std::string("read-receipts  ") + (on ? "on" : "off");
  return {};
}

Result<void> ActCommand::broadcast() {
  const std::string& name = options_.chat;
  const std::string& action = options_.action;
  if (action == "list") {
    for (const client::BroadcastList& list : client_.engine().broadcast_lists()) {
      rows_.push_back({{"type", "broadcast"}, {"name", list.name}, {"numbers", list.numbers}});
    }
    return {};
  }
  result_ = {{"type", "done"}, {"name", name}};
  if (action == "create") {
    return client_.act([&](auto& engine, Env& env, auto& out) {
      return engine.put_broadcast_list({name, options_.words}, env, out);
    });
  }
  if (action == "delete") {
    return client_.act([&](auto& engine, Env& env, auto& out) {
      return engine.drop_broadcast_list(name, env, out);
    });
  }
  const client::BroadcastList* list = client_.engine().broadcast_list(name);
  if (list == nullptr) return fail(Code::kNotFound, "there is no such broadcast list");
  if (options_.words.size() != 1) return fail(Code::kInvalid, "give one text, in quotes");
  const std::vector<std::string> numbers = list->numbers;
  for (const std::string& number : numbers) {
    const auto sent = send(number, {.body = options_.words[0]});
    if (!sent)
      complain(code_name(sent.error().code), number + ": " + std::string(sent.error().text));
  }
  return {};
}

void ActCommand::on_event(const client::Event& event) {
  const auto* change = std::get_if<client::StatusChanged>(&event);
  if (change == nullptr) return;
  const auto found = sent_.find(change->id);
  if (found == sent_.end()) return;
  found->second["status"] = client::status_name(change->status);
  if (!change->failure.empty()) found->second["failure"] = change->failure;
}

void ActCommand::on_link_failed() {
  if (link_may_recover()) patience_ = std::min(patience_, now() + offline_patience());
}

void ActCommand::on_committed() {
  committed_ = true;
  if (acted_) again_.set({0}, [this] { wait(); });
}

// Until the server has it all, or there is no hope for now.
void ActCommand::wait() {
  if (!acted_) return;
  const bool all =
      std::ranges::all_of(sent_, [](const auto& sent) { return sent.second.contains("status"); });
  const bool done = client_.engine().outbox_size() == 0 && all;
  if (leaves_ && !done && now() < patience_) {
    again_.set(kLook, [this] { wait(); });
    return;
  }
  report(leaves_ && !done);
}

void ActCommand::report(bool queued) {
  acted_ = false;
  bool failed = false;
  for (const Json& row : rows_) {
    if (options_.json) {
      emit(row);
      continue;
    }
    line(printable(row["name"].get<std::string>()) + "  " + std::to_string(row["numbers"].size()) +
         " people");
  }
  for (auto& [id, sent] : sent_) {
    const std::string status = sent.value("status", "queued");
    failed = failed || status == "failed";
    Json object = {{"type", status == "failed" ? "error" : status}};
    object.update(sent);
    object.erase("status");
    if (options_.json) emit(object);
    else line(status + " to " + sent["to"].get<std::string>());
  }
  if (!result_.empty() && sent_.empty()) {
    if (queued) result_["queued"] = true;
    if (options_.json) emit(result_);
    else if (!said_.empty()) line(said_);
    else line(paint(Ink::kGreen, "✓", color()) + (queued ? " queued" : " done"));
  }
  if (queued) note(why_queued() + "it leaves with the next godwit command that connects.");
  console_.finish(failed ? kExitRefused : kExitOk);
}

// ---- looking messages up

void FindCommand::start() {
  if (!require_account()) return;
  if (options_.verb == Verb::kInfo) {
    if (const auto message = find_message(options_.message)) info(*message);
    return;
  }
  client::ChatId chat;
  if (!options_.chat.empty()) {
    const auto whose = recipient(options_.chat);
    if (!whose) return;
    chat = chat_of(*whose);
    if (chat.is_nil()) {
      refuse(kExitNotFound, "not_found", "no conversation with this number yet");
      return;
    }
  }
  const auto found = options_.verb == Verb::kStarred
                         ? client::read_starred(client_.store())
                         : client::search(client_.store(), options_.text.value_or(""), chat,
                                          options_.limit == 0 ? kResults : options_.limit);
  if (!found) {
    refuse(found.error());
    return;
  }
  for (const client::Message& message : *found) print(message);
  if (found->empty()) note("Nothing found.");
  console_.finish(kExitOk);
}

void FindCommand::print(const client::Message& message) {
  if (options_.json) {
    emit(history_json(message, names()));
    return;
  }
  const bool out = message.direction == client::Direction::kOut;
  std::string text = message_text(message, names());
  std::ranges::replace(text, '\n', ' ');
  std::string place = (out ? "to " : "") + chat_name(message.chat, message.phone);
  if (!out && message.chat.is_group()) place += "  " + name(message.from);
  line(paint(Ink::kDim, id_text(message.id).substr(0, 8), color()) + "  " +
       short_time(message.composed, now()) + "  " + paint(Ink::kCyan, place, color()) + "  " +
       text);
}

void FindCommand::info(const client::Message& message) {
  const bool out = message.direction == client::Direction::kOut;
  struct Seen {
    std::string phone;
    Instant delivered, read;
  };
  std::vector<Seen> seen;
  for (const client::Arrival& arrival : message.arrivals) {
    seen.push_back({name(arrival.member), arrival.delivered, arrival.read});
  }
  if (!message.chat.is_group()) seen = {{message.phone, message.delivered, message.read}};
  const auto time = [](Instant at) { return at.ms == 0 ? Json() : Json(at.ms); };
  if (options_.json) {
    Json object = {{"type", "info"}, {"id", id_text(message.id)}};
    object["composed_ms"] = message.composed.ms;
    if (!out) object["accepted_ms"] = message.received.ms;
    if (out) {
      object["status"] = client::status_name(message.status);
      object["sent_ms"] = time(message.sent);
      object["members"] = Json::array();
      for (const auto& [phone, delivered, read] : seen) {
        object["members"].push_back(
            {{"phone", phone}, {"delivered_ms", time(delivered)}, {"read_ms", time(read)}});
      }
    }
    emit(object);
  } else {
    const auto row = [&](const char* label, Instant at) {
      line(paint(Ink::kDim, label, color()) + (at.ms == 0 ? "-" : short_time(at, now())));
    };
    line(paint(Ink::kDim, "id         ", color()) + id_text(message.id));
    row("composed   ", message.composed);
    if (out) {
      row("sent       ", message.sent);
      const auto of = [&](Instant at) { return at.ms == 0 ? "-" : short_time(at, now()); };
      for (const auto& [phone, delivered, read] : seen) {
        line(phone + paint(Ink::kDim, "  delivered ", color()) + of(delivered) +
             paint(Ink::kDim, "  read ", color()) + of(read));
      }
    } else {
      row("accepted   ", message.received);
    }
  }
  console_.finish(kExitOk);
}

}  // namespace godwit::cli
