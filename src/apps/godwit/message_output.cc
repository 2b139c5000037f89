// Messages and what goes with them, as JSON and for people (output.h).
#include "apps/godwit/output.h"

#include <algorithm>
#include <cstdio>

namespace godwit::cli {
namespace {

Json list_of(const std::vector<std::string>& texts) {
  Json list = Json::array();
  for (const std::string& text : texts) list.push_back(text);
  return list;
}

// "48.8566"
std::string degrees(std::int64_t tenth_micro) {
  char text[32];
  std::snprintf(text, sizeof text, "%.6f", static_cast<double>(tenth_micro) / 1e7);
  return text;
}

Json poll_json(const client::Message& message, const Names& names) {
  const client::Poll& poll = *message.extras.poll;
  Json options = Json::array();
  for (std::size_t i = 0; i < poll.options.size(); ++i) {
    Json votes = Json::array();
    for (const client::Vote& vote : message.votes) {
      if (std::ranges::find(vote.choices, i) != vote.choices.end())
        votes.push_back(names(vote.from));
    }
    options.push_back({{"text", poll.options[i]}, {"votes", std::move(votes)}});
  }
  return {{"multiple", poll.multiple}, {"options", std::move(options)}};
}

// What most messages do not have is absent.
void put_extras(Json& object, const client::Message& message, const Names& names) {
  const client::Extras& extras = message.extras;
  if (message.late) object["late"] = true;
  if (message.deleted) object["deleted"] = true;
  if (message.edited) object["edited"] = true;
  if (message.starred) object["starred"] = true;
  if (extras.quote) {
    object["reply_to"] = {{"id", id_text(extras.quote->id)}, {"text", extras.quote->snippet}};
  }
  if (!extras.mentions.empty()) object["mentions"] = list_of(extras.mentions);
  if (extras.forwards != 0) object["forwards"] = extras.forwards;
  if (const auto& preview = extras.preview; preview) {
    object["preview"] = {
        {"url", preview->url}, {"title", preview->title}, {"description", preview->description}};
  }
  if (extras.poll) object["poll"] = poll_json(message, names);
  if (extras.card) {
    object["contact"] = {{"name", extras.card->name}, {"phone", extras.card->phone}};
  }
  if (const auto& place = extras.place; place) {
    object["location"] = {{"latitude", static_cast<double>(place->latitude) / 1e7},
                          {"longitude", static_cast<double>(place->longitude) / 1e7},
                          {"name", place->name}};
  }
  if (extras.sets_lifetime) object["sets_lifetime_s"] = extras.lifetime.ms / 1000;
  else if (extras.lifetime.ms != 0) object["lifetime_s"] = extras.lifetime.ms / 1000;
  if (extras.view_once) object["view_once"] = true;
  if (message.opened) object["opened"] = true;
  if (message.reactions.empty()) return;
  Json reactions = Json::array();
  for (const client::Reaction& reaction : message.reactions) {
    reactions.push_back({{"from", names(reaction.from)}, {"emoji", reaction.emoji}});
  }
  object["reactions"] = std::move(reactions);
}

// What may be seen without opening it.
const std::string& visible(const client::Message& message) {
  static const std::string kHidden;
  return message.extras.view_once ? kHidden : message.text;
}

// A deleted message does not say whose it was.
std::string chat_text(const client::Message& message, const Names& names) {
  const bool unsaid = message.phone.empty() && !message.chat.is_group();
  return unsaid ? names(message.chat.user()) : who(message.phone, message.chat);
}

}  // namespace

Json message_json(const client::Message& message, const Names& names) {
  Json object = {{"type", "message"},
                 {"id", id_text(message.id)},
                 {"from", who(message.phone, message.from)},
                 {"chat", chat_text(message, names)},
                 {"timestamp_ms", message.composed.ms},
                 {"text", visible(message)}};
  put_extras(object, message, names);
  return object;
}

Json history_json(const client::Message& message, const Names& names) {
  const bool in = message.direction == client::Direction::kIn;
  Json object = {{"type", "message"},
                 {"id", id_text(message.id)},
                 {"direction", in ? "in" : "out"},
                 {"chat", chat_text(message, names)}};
  if (in && message.chat.is_group()) object["from"] = names(message.from);
  object["timestamp_ms"] = message.composed.ms;
  if (!in) object["status"] = client::status_name(message.status);
  if (!message.failure.empty()) object["failure"] = message.failure;
  object["text"] = visible(message);
  put_extras(object, message, names);
  return object;
}

Json change_json(const client::MessageChanged& change, const Names& names) {
  using Kind = client::Act::Kind;
  const client::Act& act = change.act;
  Json object = {{"type", "unknown"},
                 {"for", id_text(act.target)},
                 {"from", names(change.from)},
                 {"chat", who(change.phone, change.chat)}};
  switch (act.kind) {
    case Kind::kReaction:
      object["type"] = "reaction";
      object["emoji"] = act.text;
      break;
    case Kind::kEdit:
      object["type"] = "edit";
      object["text"] = act.text;
      break;
    case Kind::kDeletion: object["type"] = "deletion"; break;
    case Kind::kVote:
      object["type"] = "vote";
      object["options"] = Json::array();
      for (const std::uint8_t choice : act.choices) object["options"].push_back(choice + 1);
      break;
    case Kind::kPin:
      object["type"] = "pin";
      object["on"] = act.on;
      break;
    case Kind::kOpened: object["type"] = "opened"; break;
  }
  return object;
}

std::string change_text(const client::MessageChanged& change, std::string about) {
  using Kind = client::Act::Kind;
  const client::Act& act = change.act;
  about = about.empty() ? "a message" : "\"" + about.substr(0, about.find('\n')) + "\"";
  switch (act.kind) {
    case Kind::kReaction:
      return act.text.empty() ? "took a reaction to " + about + " back"
                              : "reacted " + printable(act.text) + " to " + about;
    case Kind::kEdit: return "edited: " + printable(act.text, true);
    case Kind::kDeletion: return "deleted a message";
    case Kind::kVote: return "voted in " + about;
    case Kind::kPin: return (act.on ? "pinned " : "unpinned ") + about;
    case Kind::kOpened: return "opened what can be viewed once";
  }
  return {};
}

std::string lifetime_text(Duration lifetime) {
  const std::int64_t seconds = lifetime.ms / 1000;
  const auto say = [](std::int64_t count, const char* unit) {
    return std::to_string(count) + " " + unit + (count == 1 ? "" : "s");
  };
  if (seconds % 86400 == 0 && seconds != 86400) return say(seconds / 86400, "day");
  if (seconds % 3600 == 0) return say(seconds / 3600, "hour");
  if (seconds % 60 == 0) return say(seconds / 60, "minute");
  return say(seconds, "second");
}

std::string message_text(const client::Message& message, const Names& names) {
  const client::Extras& extras = message.extras;
  if (message.deleted) return "(this message was deleted)";
  if (extras.view_once) return message.opened ? "(view once: opened)" : "(view once)";
  if (extras.sets_lifetime) {
    return extras.lifetime.ms == 0
               ? "(messages do not disappear any more)"
               : "(messages disappear after " + lifetime_text(extras.lifetime) + ")";
  }
  std::string out;
  if (extras.forwards >= limits::kManyForwards) out += "(forwarded many times)\n";
  else if (extras.forwards != 0) out += "(forwarded)\n";
  if (extras.quote) out += "▏" + printable(extras.quote->snippet.substr(0, 200)) + "\n";
  out += printable(message.text, true);
  if (message.edited) out += " (edited)";
  const auto add = [&](const std::string& line) { out += (out.empty() ? "" : "\n") + line; };
  if (const auto& preview = extras.preview; preview) {
    add("▏" + printable(preview->title));
    if (!preview->description.empty()) add("▏" + printable(preview->description));
    add("▏" + printable(preview->url));
  }
  if (extras.poll) {
    for (std::size_t i = 0; i < extras.poll->options.size(); ++i) {
      std::size_t votes = 0;
      bool mine = false;
      for (const client::Vote& vote : message.votes) {
        if (std::ranges::find(vote.choices, i) == vote.choices.end()) continue;
        ++votes;
        mine = mine || vote.from.is_nil();
      }
      add(std::string(mine ? "◉ " : "○ ") + std::to_string(i + 1) + "  " +
          printable(extras.poll->options[i]) + (votes == 0 ? "" : "  · " + std::to_string(votes)));
    }
  }
  if (extras.card) add("☎ " + printable(extras.card->name) + " " + printable(extras.card->phone));
  if (const auto& place = extras.place; place) {
    add("⌖ " + degrees(place->latitude) + ", " + degrees(place->longitude) +
        (place->name.empty() ? "" : " " + printable(place->name)));
  }
  std::string reactions;
  for (const client::Reaction& reaction : message.reactions) {
    reactions += (reactions.empty() ? "" : "  ") + printable(reaction.emoji) + " " +
                 printable(names(reaction.from));
  }
  if (!reactions.empty()) add("[" + reactions + "]");
  return out;
}

}  // namespace godwit::cli
