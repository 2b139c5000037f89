// The language, and every scenario of the repository played in the simulator.
#include "sim/scenario.h"

#include <gtest/gtest.h>

#ifndef __wasi__
#include <filesystem>
#include <fstream>
#endif

#include "sim/scenario_player.h"

namespace godwit::sim {
namespace {

std::string error_of(const std::string& text) {
  const auto scenario = parse_scenario("x.chat", text);
  return scenario ? "" : scenario.error();
}

TEST(ScenarioTest, EveryStatementIsUnderstood) {
  const auto scenario = parse_scenario("x.chat",
                                       "# A promise.\n"
                                       "sim only\n"
                                       "\n"
                                       "user alice  # and a comment\n"
                                       "stranger carol\n"
                                       "alice -> carol \"a # b\"\n"
                                       "alice -> carol bytes 3\n"
                                       "wait 31 days\n"
                                       "expect alice shows \"x\" bytes 2 from carol\n"
                                       "expect server stores 0 envelopes\n");
  ASSERT_TRUE(scenario) << scenario.error();
  EXPECT_EQ(scenario->promise, "A promise.");
  EXPECT_TRUE(scenario->sim_only);
  ASSERT_EQ(scenario->steps.size(), 7u);
  EXPECT_EQ(scenario->steps[2].texts, std::vector<std::string>{"a # b"});
  EXPECT_EQ(scenario->steps[3].texts, std::vector<std::string>{"abc"});
  EXPECT_EQ(scenario->steps[4].duration, days(31));
  EXPECT_EQ(scenario->steps[5].texts, (std::vector<std::string>{"x", "ab"}));
  EXPECT_EQ(scenario->steps[5].whom, "carol");
  EXPECT_EQ(scenario->steps[6].line, 10u);
}

TEST(ScenarioTest, WhatIsDoneWithGroupsIsUnderstood) {
  const auto scenario = parse_scenario("x.chat",
                                       "# A promise.\n"
                                       "user alice\n"
                                       "user bob\n"
                                       "group Birds of alice\n"
                                       "alice adds bob in Birds\n"
                                       "alice lets everybody write to Birds\n"
                                       "alice lets bob disappear 5 seconds\n"
                                       "alice links Birds for 3 approved\n"
                                       "alice broadcasts \"hello\" to bob\n"
                                       "expect Birds is of alice bob\n"
                                       "expect bob notices alice\n");
  ASSERT_TRUE(scenario) << scenario.error();
  const auto step = [&](std::size_t i) { return scenario->steps[i]; };
  EXPECT_EQ(step(3).word + " " + step(3).texts[0] + " " + step(3).whom, "adds bob Birds");
  EXPECT_EQ(step(4).word, "opens");
  EXPECT_EQ(step(5).verb, Verb::kDisappear);
  EXPECT_EQ(step(6).word, "links_approved");
  EXPECT_EQ(step(6).number, 3u);
  EXPECT_EQ(step(7).texts, (std::vector<std::string>{"hello", "bob"}));
  EXPECT_EQ(step(8).verb, Verb::kExpectGroup);
  EXPECT_EQ(step(8).texts, (std::vector<std::string>{"alice", "bob"}));
  EXPECT_EQ(step(9).whom, "alice");
}

TEST(ScenarioTest, WhatGoesWithAMessageIsUnderstood) {
  const auto scenario = parse_scenario("x.chat",
                                       "# A promise.\n"
                                       "user alice\n"
                                       "user bob\n"
                                       "alice -> bob mentioning bob \"a\"\n"
                                       "alice -> bob linking \"url\" \"title\" \"b\"\n"
                                       "alice -> bob card alice \"c\"\n"
                                       "expect bob finds \"d\" from \"here\"\n");
  ASSERT_TRUE(scenario) << scenario.error();
  using Texts = std::vector<std::string>;
  EXPECT_EQ(scenario->steps[2].texts, (Texts{"a", "bob"}));
  EXPECT_EQ(scenario->steps[3].texts, (Texts{"b", "url", "title"}));
  EXPECT_EQ(scenario->steps[4].word, "card");
  EXPECT_EQ(scenario->steps[5].texts, (Texts{"d", "here"}));
  EXPECT_EQ(error_of("# P\nuser alice\nalice -> alice mentioning bob \"x\"\n"),
            "x.chat:3: expected somebody introduced by 'user' or 'stranger', not 'bob'");
  EXPECT_EQ(error_of("# P\nuser alice\nalice -> alice linking \"url\" \"x\"\n"),
            "x.chat:3: expected a \"text\" or bytes N, but the line ends");
}

TEST(ScenarioTest, ErrorsNameTheLineAndWhatWasExpected) {
  EXPECT_EQ(error_of("user alice\n"), "x.chat:1: expected '# ' and the promise in one sentence");
  EXPECT_EQ(error_of("# P\nuser alice\nalice -> bob \"x\"\n"),
            "x.chat:3: expected somebody introduced by 'user' or 'stranger', not 'bob'");
  EXPECT_EQ(error_of("# P\nuser alice\nuser alice\n"),
            "x.chat:3: expected a name that is not taken, not 'alice'");
  EXPECT_EQ(error_of("# P\nserver explode\n"),
            "x.chat:2: expected 'restart' or 'kill', not 'explode'");
  EXPECT_EQ(error_of("# P\nwait 5\n"),
            "x.chat:2: expected seconds, minutes, hours or days, but the line ends");
  EXPECT_EQ(error_of("# P\nuser alice\nalice -> alice \"x\n"),
            "x.chat:3: expected a closing quotation mark");
  EXPECT_EQ(error_of("# P\nuser alice bob\n"), "x.chat:2: expected the end of the line, not 'bob'");
}

TEST(ScenarioTest, AWrongExpectationFailsAndSaysWhatWasSeen) {
  const auto scenario = parse_scenario("x.chat",
                                       "# P\nuser alice\nuser bob\nalice -> bob \"one\"\n"
                                       "expect bob shows \"two\"\n");
  ASSERT_TRUE(scenario);
  EXPECT_EQ(ScenarioPlayer("x.chat", 1).play(*scenario),
            "x.chat:5: expected bob to show \"two\", but it is \"one\"");
}

#ifndef __wasi__  // whose C++ library knows no files
TEST(ScenarioTest, AllScenariosHold) {
  int played = 0;
  for (const auto& entry : std::filesystem::directory_iterator("scenarios")) {
    if (entry.path().extension() != ".chat") continue;
    std::ifstream file(entry.path());
    const std::string text{std::istreambuf_iterator<char>(file), {}};
    const std::string name = entry.path().string();
    const auto scenario = parse_scenario(name, text);
    ASSERT_TRUE(scenario) << scenario.error();
    for (const std::uint64_t seed : {1, 2, 3}) {
      const auto problem = ScenarioPlayer(name, seed).play(*scenario);
      EXPECT_EQ(problem, std::nullopt) << *problem;
    }
    ++played;
  }
  EXPECT_GE(played, 10);
}
#endif

}  // namespace
}  // namespace godwit::sim
