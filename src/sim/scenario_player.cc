#include "sim/scenario_player.h"

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
    case Verb::kSay: say(step); return std::nullopt;
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
  const std::string& text = step.texts.front();
  if (text.size() >= 8) world_.life().checkers.no_plaintext.secret(text);
  const auto sent = device(step.who).send(phones_.at(step.whom), text);
  Said& said = said_[{step.who, text}];
  if (sent) said.id = *sent;
  else said.refused = sent.error().code;
  world_.pass(milliseconds(10));
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
    default:
      if (await([&] { return world_.node().stored_envelopes() == step.number; })) {
        return std::nullopt;
      }
      return "expected " + std::to_string(step.number) +
             " envelopes on the server, but there are " +
             std::to_string(world_.node().stored_envelopes());
  }
}

std::vector<std::string> ScenarioPlayer::shown(const Step& step) {
  std::vector<std::string> texts;
  for (const client::Message& message : device(step.who).history()) {
    if (message.direction != client::Direction::kIn) continue;
    if (!step.whom.empty() && message.phone != phones_.at(step.whom)) continue;
    texts.push_back(message.text);
  }
  return texts;
}

std::string ScenarioPlayer::status(const Step& step) {
  const auto said = said_.find({step.who, step.texts.front()});
  if (said == said_.end() || !said->second.id) return "unknown";
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
