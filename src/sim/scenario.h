// Scenario: an acceptance test that a product person can read, as a list of steps.
//
// A file of lines; `#` starts a comment, and the first line is a comment with the promise that the
// file proves. `docs/simulation.md` lists the statements. The same file is played in the simulator
// (scenario_player.h) and against real processes (tests/process/run_scenario.py).
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.h"

namespace godwit::sim {

enum class Verb : std::uint8_t {
  kUser,      // who registers
  kStranger,  // who is a number that nobody registered
  kGroup,     // who makes the group `whom`, with the people texts
  kChange,  // who changes the group `whom`: `word` (texts[0]: about whom; number: a link's uses)
  kExpectGroup,  // the group `whom` has the members texts and no others, and all agree
  kBroadcast,    // who writes texts[0] to each of the others
  kTypes,        // who begins to write to whom
  kExpectNotices,  // who is told that whom writes
  kSay,  // who -> whom texts[0]; word: "", "once", "answering" the message texts[1], "mentioning"
         // the person texts[1], "linking" the address texts[1] with the title texts[2], with the
         // "card" of texts[1], "from" the place texts[1]
  kDo,  // who does `word` to the message texts[0] (texts[1]: with what; whom: for or from whom)
  kAsk,  // who asks whom texts[0], with the other texts as answers
  kDisappear,  // who lets what is written to whom disappear after duration
  kOffline,  // who
  kOnline,
  kKill,  // who; "server" is the server
  kRestart,  // likewise
  kReinstall,  // who: a new phone with the old number
  kReads,  // who reads everything
  kDiskFull,
  kDiskOk,
  kWait,  // duration
  kExpectShows,  // who shows texts; whom: only what is from them
  kExpectSees,  // who sees texts[0] as `word`
  kExpectFinds,  // who has the message texts[0], and it is so: `word` (texts[1], number)
  kExpectOpened,  // who opened texts[0]
  kExpectUnread,  // who has `number` unread messages from whom
  kExpectRefused,  // who is refused texts[0] with the code `word`
  kExpectWarned,  // who is warned about whom
  kExpectStored,  // the server stores `number` envelopes
};

struct Step {
  std::uint32_t line = 0;
  Verb verb{};
  std::string who;
  std::string whom;
  std::vector<std::string> texts;
  std::string word;
  std::uint64_t number = 0;
  Duration duration;
};

struct Scenario {
  std::string promise;
  bool sim_only = false;  // it takes a step that real processes cannot take
  std::vector<Step> steps;
};

// The text that `bytes N` stands for.
std::string text_of_size(std::uint64_t octets);

// The error is one line: name:line: what was expected.
std::expected<Scenario, std::string> parse_scenario(std::string_view name, std::string_view text);

// The steps as JSON, one object a line, for runners in other languages.
std::string to_json_lines(const Scenario& scenario);

}  // namespace godwit::sim
