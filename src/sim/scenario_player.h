// ScenarioPlayer: plays a scenario in a simulated world without weather, with all checkers on.
#pragma once

#include <map>
#include <memory>

#include "sim/scenario.h"
#include "sim/world.h"

namespace godwit::sim {

// How long an expectation may take to come true.
inline constexpr Duration kPatience = minutes(3);

class ScenarioPlayer {
 public:
  ScenarioPlayer(std::string name, std::uint64_t seed, Trace::Print print = {});

  // nullopt: it went as written. Else one line: name:line: what was expected and what was seen.
  std::optional<std::string> play(const Scenario& scenario);

 private:
  struct Said {
    std::optional<MessageId> id;
    std::optional<Code> refused;
  };
  std::optional<std::string> perform(const Step& step);
  std::optional<std::string> expect(const Step& step);
  void user(const Step& step);
  // A message, a poll, or how long messages last from now on.
  void say(const Step& step);
  client::Extras extras(const Step& step);
  void does(const Step& step);
  Result<void> deed(const Step& step, const client::Message& message);
  std::optional<std::string> group(const Step& step);
  std::optional<std::string> change(const Step& step);
  Result<void> ask(const Step& step, client::Engine& engine, Env& env, client::Effects& out);
  // The group as somebody sees it; version 0: not at all.
  client::GroupView view(const std::string& who, const std::string& group);
  bool is_of(const Step& step);
  void broadcast(const Step& step);
  std::optional<std::string> expect_deed(const Step& step);
  bool finds(const Step& step);
  std::optional<client::Message> message(const std::string& who, const std::string& text);
  // Where somebody writes to a person or a group, and what they have of it.
  client::Recipient recipient(const std::string& whom);
  client::ChatId chat(const std::string& who, const std::string& whom);
  void wait(Duration duration);
  std::vector<std::string> shown(const Step& step);
  std::string status(const Step& step);
  std::string refusal(const Step& step);
  bool warned(const Step& step);
  Device& device(const std::string& name) { return *people_.at(name); }

  std::string name_;
  World world_;
  std::map<std::string, Device*> people_;
  std::map<std::string, std::string> phones_;
  std::map<std::string, GroupId> groups_;
  std::map<std::string, std::string> links_;  // of groups, the last one
  std::map<std::pair<std::string, std::string>, Said> said_;  // who, text
  std::multimap<std::string, std::string> opened_;            // who, text
};

}  // namespace godwit::sim
