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
  void say(const Step& step);
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
  std::map<std::pair<std::string, std::string>, Said> said_;  // who, text
};

}  // namespace godwit::sim
