#include "sim/scenario_player.h"

#include <algorithm>
#include <utility>

namespace godwit::sim {

namespace {

std::string brief(const std::string& text) {
  if (text.size() <= 40) return '"' + text + '"';
  return "bytes " + std::to_string(text.size());
}

std::string list(const std::vector<std::string>& texts) {
  if (texts.empty()) return "nothing";
  std::string all;
  for (const std::string& text : texts) all += (all.empty() ? "" : " ") + brief(text);
  return all;
}

// A message tells why it failed in a sentence.
std::string code_of(const std::string& failure) {
  return failure.find("no account") != std::string::npos ? "not_found" : failure;
}

}  // namespace

ScenarioPlayer::ScenarioPlayer(std::string name, std::uint64_t seed, Trace::Print print)
    : name_(std::move(name)), world_(seed, std::move(print)) {
  world_.begin(2);
}

std::optional<std::string> ScenarioPlayer::play(const Scenario& scenario) {
  for (const Step& step : scenario.steps) {
    auto problem = perform(step);
    if (const auto& broken = world_.life().verdict.first()) {
      problem = "the promise '" + broken->checker + "' is broken: " + broken->what;
    }
    if (problem) return name_ + ':' + std::to_string(step.line) + ": " + *problem;
  }
  return std::nullopt;
}

std::optional<std::string> ScenarioPlayer::perform(const Step& step) {
  const bool server = step.who == "server";
  switch (step.verb) {
    case Verb::kUser:
    case Verb::kReinstall:
      if (step.verb == Verb::kUser) user(step);
      else device(step.who).reinstall();
      if (!world_.await(kPatience, [&] { return device(step.who).registered(); })) {
        return "expected " + step.who + " to be registered";
      }
      return std::nullopt;
    case Verb::kStranger:
      phones_[step.who] = "+33612345" + std::to_string(900 + phones_.size());
      return std::nullopt;
    case Verb::kGroup: return group(step);
    case Verb::kChange: return change(step);
    case Verb::kBroadcast: broadcast(step); return std::nullopt;
    case Verb::kTypes:
      (void)device(step.who).does([&](auto& engine, Env& env, auto& out) -> Result<void> {
        engine.set_typing(chat(step.who, step.whom), true, env, out);
        return {};
      });
      return std::nullopt;
    case Verb::kSay:
    case Verb::kAsk:
    case Verb::kDisappear: say(step); return std::nullopt;
    case Verb::kDo: does(step); return std::nullopt;
    case Verb::kOffline:
    case Verb::kOnline:
      world_.life().net.set_offline(device(step.who).index(), step.verb == Verb::kOffline);
      world_.pass(seconds(1));
      return std::nullopt;
    case Verb::kKill:
    case Verb::kRestart:
      if (!server) {
        device(step.who).kill();
        world_.pass(seconds(1));
        device(step.who).start();
      } else if (step.verb == Verb::kKill) {
        world_.server_dies();
      } else {
        world_.server_restarts();
      }
      if (server) world_.pass(seconds(20));
      return std::nullopt;
    case Verb::kReads:
      for (const auto& [name, other] : people_) device(step.who).read_all(*other);
      for (const auto& [name, id] : groups_) device(step.who).read_all(id);
      return std::nullopt;
    case Verb::kDiskFull:
    case Verb::kDiskOk:
      world_.node().disk().set_weather({.full = step.verb == Verb::kDiskFull});
      return std::nullopt;
    case Verb::kWait: wait(step.duration); return std::nullopt;
    default: return expect(step);
  }
}

void ScenarioPlayer::user(const Step& step) {
  phones_[step.who] = "+33612345" + std::to_string(100 + phones_.size());
  Device& device = world_.add_person(phones_[step.who]);
  people_[step.who] = &device;
  device.keep_events();
  device.start();
  device.want_account();
}

void ScenarioPlayer::say(const Step& step) {
  const std::string text = step.verb == Verb::kDisappear ? std::string() : step.texts.front();
  if (text.size() >= 8) world_.life().checkers.no_plaintext.secret(text);
  const client::Text said{.body = text, .extras = extras(step)};
  Said& noted = said_[{step.who, text}];
  const auto sent = device(step.who).does([&](auto& engine, Env& env, auto& out) -> Result<void> {
    const auto id = engine.send(recipient(step.whom), said, {}, env, out);
    if (!id) return fail(id.error());
    noted.id = *id;
    return {};
  });
  if (!sent) noted.refused = sent.error().code;
  world_.pass(milliseconds(10));
}

client::Extras ScenarioPlayer::extras(const Step& step) {
  client::Extras out;
  const std::string with = step.texts.size() > 1 ? step.texts[1] : std::string();
  if (step.verb == Verb::kAsk) {
    out.poll = client::Poll{{step.texts.begin() + 1, step.texts.end()}};
  } else if (step.verb == Verb::kDisappear) {
    out.sets_lifetime = true;
    out.lifetime = step.duration;
  } else if (step.word == "once") {
    out.view_once = true;
  } else if (step.word == "answering") {
    if (const auto quoted = message(step.who, with)) out.quote = {quoted->id, quoted->text};
  } else if (step.word == "mentioning") {
    out.mentions = {phones_.at(with)};
  } else if (step.word == "linking") {
    out.preview = {.url = with, .title = step.texts.at(2), .description = {}};
  } else if (step.word == "card") {
    out.card = {.name = with, .phone = phones_.at(with)};
  } else if (step.word == "from") {
    out.place = {.latitude = 488'584'000, .longitude = 22'945'000, .name = with};
  }
  return out;
}

client::Recipient ScenarioPlayer::recipient(const std::string& whom) {
  const auto group = groups_.find(whom);
  if (group != groups_.end()) return group->second;
  return phones_.at(whom);
}

client::ChatId ScenarioPlayer::chat(const std::string& who, const std::string& whom) {
  const auto group = groups_.find(whom);
  if (group != groups_.end()) return group->second;
  const client::Engine* engine = device(who).engine();
  return engine ? engine->chat(phones_.at(whom)) : client::ChatId();
}

std::optional<client::Message> ScenarioPlayer::message(const std::string& who,
                                                       const std::string& text) {
  std::optional<client::Message> newest;
  for (client::Message& message : device(who).history()) {
    const bool later = !newest || newest->order < message.order;
    if (!message.deleted && message.text == text && later) newest = std::move(message);
  }
  return newest;
}

std::optional<std::string> ScenarioPlayer::group(const Step& step) {
  GroupId id;
  (void)device(step.who).does([&](auto& engine, Env& env, auto& out) -> Result<void> {
    const auto made = engine.create_group(step.whom, env, out);
    if (!made) return fail(made.error());
    id = *made;
    for (const std::string& name : step.texts) {
      (void)engine.change_group(id, client::Engine::GroupAct::kAdd, phones_.at(name), env, out);
    }
    return {};
  });
  groups_[step.whom] = id;
  const auto whole = [&](const std::string& name) {
    const client::Engine* engine = device(name).engine();
    for (const auto& view : engine ? engine->groups() : std::vector<client::GroupView>()) {
      if (view.id == id && view.members.size() == step.texts.size() + 1) return true;
    }
    return false;
  };
  const auto all = [&] { return whole(step.who) && std::ranges::all_of(step.texts, whole); };
  if (world_.await(kPatience, all)) return std::nullopt;
  return "expected " + step.whom + " to have all its members";
}

client::GroupView ScenarioPlayer::view(const std::string& who, const std::string& group) {
  const client::Engine* engine = device(who).engine();
  for (auto& each : engine ? engine->groups() : std::vector<client::GroupView>()) {
    if (each.id == groups_.at(group)) return each;
  }
  return {};
}

Result<void> ScenarioPlayer::ask(const Step& step, client::Engine& engine, Env& env,
                                 client::Effects& out) {
  using Act = client::Engine::GroupAct;
  const GroupId id = groups_.at(step.whom);
  static const std::map<std::string, Act> kActs = {{"adds", Act::kAdd},
                                                   {"removes", Act::kRemove},
                                                   {"promotes", Act::kPromote},
                                                   {"demotes", Act::kDemote}};
  if (const auto act = kActs.find(step.word); act != kActs.end()) {
    return engine.change_group(id, act->second, phones_.at(step.texts[0]), env, out);
  }
  if (step.word == "leaves") return engine.change_group(id, Act::kLeave, {}, env, out);
  if (step.word == "closes" || step.word == "opens") {
    return engine.set_group_rules(id, {.announcements = step.word == "closes"}, env, out);
  }
  if (step.word.starts_with("links")) {
    const client::LinkTerms terms{.uses = static_cast<std::uint32_t>(step.number),
                                  .approval = step.word == "links_approved"};
    return engine.make_group_link(id, terms, env, out);
  }
  if (step.word == "unlinks") return engine.revoke_group_link(id, env, out);
  if (step.word == "joins") {
    const auto joined = engine.join_group(links_[step.whom], env, out);
    return joined ? Result<void>() : fail(joined.error());
  }
  // Those who wait are named by their number, as an admin sees it.
  for (const auto& waits : view(step.who, step.whom).pending) {
    if (waits.phone != phones_.at(step.texts[0])) continue;
    return engine.answer_pending(id, waits.user, step.word == "approves", env, out);
  }
  return fail(Code::kNotFound, "nobody of this number waits");
}

std::optional<std::string> ScenarioPlayer::change(const Step& step) {
  const auto answers = [&] {
    std::vector<client::GroupChangeDone> out;
    for (const client::Event& event : device(step.who).events()) {
      const auto* one = std::get_if<client::GroupChangeDone>(&event);
      if (one && one->group == groups_.at(step.whom)) out.push_back(*one);
    }
    return out;
  };
  if (step.word == "approves" || step.word == "declines") {
    // Whether the number is that of who asks has to be known first.
    (void)world_.await(kPatience, [&] {
      const auto pending = view(step.who, step.whom).pending;
      return std::ranges::find(pending, phones_.at(step.texts[0]),
                               &client::GroupView::Member::phone) != pending.end();
    });
  }
  const std::size_t before = answers().size();
  Said& noted = said_[{step.who, step.whom}];
  noted.refused.reset();
  const auto asked = device(step.who).does(
      [&](auto& engine, Env& env, auto& out) { return ask(step, engine, env, out); });
  if (!asked) {
    noted.refused = asked.error().code;
    return std::nullopt;
  }
  if (!world_.await(kPatience, [&] { return answers().size() > before; })) {
    return "expected an answer about " + step.whom;
  }
  if (!answers().back().failure.empty()) noted.refused = Code::kForbidden;
  if (const auto link = view(step.who, step.whom).link; link && !link->text.empty()) {
    links_[step.whom] = link->text;
  }
  return std::nullopt;
}

bool ScenarioPlayer::is_of(const Step& step) {
  const auto digest = view(step.texts[0], step.whom).digest;
  std::size_t members = 0;
  for (const auto& [name, phone] : people_) {
    const client::GroupView seen = view(name, step.whom);
    const bool in = std::ranges::find(step.texts, name) != step.texts.end();
    if (seen.member != in || (in && seen.digest != digest)) return false;
    if (in) members = seen.members.size();
  }
  return members == step.texts.size();
}

void ScenarioPlayer::broadcast(const Step& step) {
  for (auto to = step.texts.begin() + 1; to != step.texts.end(); ++to) {
    Step one = step;
    one.verb = Verb::kSay;
    one.whom = *to;
    say(one);
  }
}

void ScenarioPlayer::does(const Step& step) {
  std::optional<client::Message> about;
  if (step.word == "opens") {
    for (client::Message& message : device(step.who).history()) {
      const bool fits = message.extras.view_once && !message.opened && !message.from.is_nil();
      if (fits && message.phone == phones_.at(step.whom)) about = std::move(message);
    }
  } else {
    about = message(step.who, step.texts.front());
  }
  const auto done = about ? deed(step, *about) : fail(Code::kNotFound, "there is no such message");
  const std::string name = step.texts.empty() ? std::string() : step.texts.front();
  if (!done) said_[{step.who, name}].refused = done.error().code;
  world_.pass(milliseconds(10));
}

Result<void> ScenarioPlayer::deed(const Step& step, const client::Message& message) {
  using Kind = client::Act::Kind;
  client::Act act{.target = message.id};
  const auto with = [&] { return step.texts.at(1); };
  if (step.word == "reacts") act.kind = Kind::kReaction, act.text = with();
  else if (step.word == "edits") act.kind = Kind::kEdit, act.text = with();
  else if (step.word == "deletes") act.kind = Kind::kDeletion;
  else if (step.word == "pins") act.kind = Kind::kPin, act.on = true;
  else if (step.word == "votes") {
    act.kind = Kind::kVote;
    const auto& options = message.extras.poll ? message.extras.poll->options : step.texts;
    const auto at = std::ranges::find(options, with());
    act.choices = {static_cast<std::uint8_t>(at - options.begin())};
  }
  return device(step.who).does([&](auto& engine, Env& env, auto& out) -> Result<void> {
    if (step.word == "stars") {
      engine.set_starred(message, true, env, out);
      return {};
    }
    if (step.word == "forwards") {
      const auto ids = engine.forward(message, {recipient(step.whom)}, env, out);
      return ids ? Result<void>() : fail(ids.error());
    }
    if (step.word == "opens") {
      const auto text = engine.open_once(message, env, out);
      if (text) opened_.emplace(step.who, text->body);
      return text ? Result<void>() : fail(text.error());
    }
    return engine.act(message.chat, act, env, out);
  });
}

void ScenarioPlayer::wait(Duration duration) {
  if (duration < days(1)) return world_.pass(duration);
  world_.all_sleep(duration);
}

std::optional<std::string> ScenarioPlayer::expect(const Step& step) {
  const auto await = [this](const auto& done) { return world_.await(kPatience, done); };
  switch (step.verb) {
    case Verb::kExpectShows:
      // What must not be shown would need a moment to appear.
      if (step.texts.empty()) world_.pass(seconds(30));
      if (await([&] { return shown(step) == step.texts; })) return std::nullopt;
      return "expected " + step.who + " to show " + list(step.texts) + ", but it is " +
             list(shown(step));
    case Verb::kExpectSees:
      if (await([&] { return status(step) == step.word; })) return std::nullopt;
      return "expected " + step.who + " to see " + brief(step.texts.front()) + " as " + step.word +
             ", but it is " + status(step);
    case Verb::kExpectRefused:
      if (await([&] { return refusal(step) == step.word; })) return std::nullopt;
      return "expected " + brief(step.texts.front()) + " to be refused as " + step.word +
             ", but it is " + refusal(step);
    case Verb::kExpectWarned:
      if (await([&] { return warned(step); })) return std::nullopt;
      return "expected " + step.who + " to be warned that the keys of " + step.whom + " changed";
    case Verb::kExpectGroup:
      if (await([&] { return is_of(step); })) return std::nullopt;
      return "expected " + step.whom + " to be of " + list(step.texts);
    case Verb::kExpectNotices: {
      const auto told = [&] {
        return std::ranges::any_of(device(step.who).events(), [&](const client::Event& event) {
          const auto* typing = std::get_if<client::TypingChanged>(&event);
          return typing && typing->active && typing->phone == phones_.at(step.whom);
        });
      };
      if (await(told)) return std::nullopt;
      return "expected " + step.who + " to notice that " + step.whom + " writes";
    }
    case Verb::kExpectFinds:
    case Verb::kExpectOpened:
    case Verb::kExpectUnread: return expect_deed(step);
    default:
      if (await([&] { return world_.node().stored_envelopes() == step.number; })) {
        return std::nullopt;
      }
      return "expected " + std::to_string(step.number) +
             " envelopes on the server, but there are " +
             std::to_string(world_.node().stored_envelopes());
  }
}

std::optional<std::string> ScenarioPlayer::expect_deed(const Step& step) {
  const auto await = [this](const auto& done) { return world_.await(kPatience, done); };
  if (step.verb == Verb::kExpectFinds) {
    if (await([&] { return finds(step); })) return std::nullopt;
    return "expected " + step.who + " to find " + list(step.texts) + " (" + step.word + ")";
  }
  if (step.verb == Verb::kExpectUnread) {
    const auto unread = [&]() -> std::uint64_t {
      const client::Engine* engine = device(step.who).engine();
      return engine ? engine->unread(chat(step.who, step.whom)) : 0;
    };
    if (await([&] { return unread() == step.number; })) return std::nullopt;
    return "expected " + step.who + " to have " + std::to_string(step.number) + " unread, not " +
           std::to_string(unread());
  }
  const auto [first, last] = opened_.equal_range(step.who);
  for (auto at = first; at != last; ++at) {
    if (at->second == step.texts.front()) return std::nullopt;
  }
  return "expected " + step.who + " to have opened " + list(step.texts);
}

bool ScenarioPlayer::finds(const Step& step) {
  const auto found = message(step.who, step.texts.front());
  if (!found) return false;
  if (step.word == "edited") return found->edited;
  if (step.word == "starred") return found->starred;
  if (step.word == "forwarded") return found->extras.forwards != 0;
  if (step.word == "pinned") {
    const client::Engine* engine = device(step.who).engine();
    const auto pins = engine ? engine->pins(found->chat) : std::vector<MessageId>();
    return std::ranges::find(pins, found->id) != pins.end();
  }
  if (step.word == "read") {
    const client::Engine* engine = device(step.who).engine();
    const client::Contact* by = engine ? engine->contact(phones_.at(step.whom)) : nullptr;
    return by && std::ranges::any_of(found->arrivals, [&](const client::Arrival& arrival) {
             return arrival.member == by->user && arrival.read.ms != 0;
           });
  }
  const std::string& with = step.texts.at(1);
  const client::Extras& extras = found->extras;
  if (step.word == "mentioning") {
    return std::ranges::find(extras.mentions, phones_.at(with)) != extras.mentions.end();
  }
  if (step.word == "linking") return extras.preview && extras.preview->title == with;
  if (step.word == "card") return extras.card && extras.card->phone == phones_.at(with);
  if (step.word == "from") return extras.place && extras.place->name == with;
  if (step.word == "reaction") {
    return std::ranges::find(found->reactions, with, &client::Reaction::emoji) !=
           found->reactions.end();
  }
  if (step.word == "answering") {
    return extras.quote && extras.quote->snippet == with;
  }
  if (!extras.poll) return false;
  const auto& options = extras.poll->options;
  const auto which = static_cast<std::uint8_t>(std::ranges::find(options, with) - options.begin());
  const auto votes = std::ranges::count_if(found->votes, [&](const client::Vote& vote) {
    return std::ranges::find(vote.choices, which) != vote.choices.end();
  });
  return static_cast<std::uint64_t>(votes) == step.number;
}

std::vector<std::string> ScenarioPlayer::shown(const Step& step) {
  std::vector<std::string> texts;
  for (const client::Message& message : device(step.who).history()) {
    if (message.direction != client::Direction::kIn || message.deleted) continue;
    if (message.extras.sets_lifetime || message.extras.view_once) continue;
    if (!step.whom.empty() && message.phone != phones_.at(step.whom)) continue;
    texts.push_back(message.text);
  }
  return texts;
}

std::string ScenarioPlayer::status(const Step& step) {
  const auto said = said_.find({step.who, step.texts.front()});
  if (said == said_.end() || !said->second.id) {  // it got this text later
    const auto found = message(step.who, step.texts.front());
    return found ? std::string(client::status_name(found->status)) : "unknown";
  }
  for (const client::Message& message : device(step.who).history()) {
    if (message.id == *said->second.id) return std::string(client::status_name(message.status));
  }
  return "queued";  // for a number that is not looked up yet: no conversation holds it
}

std::string ScenarioPlayer::refusal(const Step& step) {
  const auto said = said_.find({step.who, step.texts.front()});
  if (said == said_.end()) return "unknown";
  if (said->second.refused) return std::string(code_name(*said->second.refused));
  for (const client::Message& message : device(step.who).history()) {
    if (message.id == said->second.id && message.status == client::Status::kFailed) {
      return code_of(message.failure);
    }
  }
  for (const client::Event& event : device(step.who).events()) {
    const auto* changed = std::get_if<client::StatusChanged>(&event);
    if (changed != nullptr && changed->id == said->second.id && !changed->failure.empty()) {
      return code_of(changed->failure);
    }
  }
  return "not refused";
}

bool ScenarioPlayer::warned(const Step& step) {
  for (const client::Event& event : device(step.who).events()) {
    const auto* changed = std::get_if<client::IdentityChanged>(&event);
    if (changed != nullptr && changed->phone == phones_.at(step.whom)) return true;
  }
  return false;
}

}  // namespace godwit::sim
