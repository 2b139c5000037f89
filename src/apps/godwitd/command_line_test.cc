#include "apps/godwitd/command_line.h"

#include <gtest/gtest.h>

#include "apps/godwitd/greeting.h"

namespace godwit::godwitd {
namespace {

CommandLine parse(std::vector<const char*> arguments) {
  arguments.insert(arguments.begin(), "godwitd");
  return parse_command_line(static_cast<int>(arguments.size()), arguments.data());
}

TEST(CommandLine, FlagsAreSettings) {
  const auto line =
      parse({"--listen", "0.0.0.0:1", "--threads=2", "--config", "f", "--quickstart"});
  EXPECT_EQ(line.verb, CommandLine::Verb::kServe);
  EXPECT_TRUE(line.quickstart);
  EXPECT_EQ(line.sources.file, "f");
  ASSERT_EQ(line.sources.flags.size(), 2U);
  EXPECT_EQ(line.sources.flags[0], (std::pair<std::string, std::string>("listen", "0.0.0.0:1")));
}

TEST(CommandLine, EveryKeyOfTheConfigurationHasAFlag) {
  const std::string help = parse({"--help"}).out;
  for (const runtime::ConfigKey& key : runtime::config_keys()) {
    std::string flag = "--" + std::string(key.name);
    for (char& c : flag) c = c == '_' ? '-' : c;
    EXPECT_TRUE(help.contains(flag + " ")) << flag;
    EXPECT_TRUE(help.contains("(" + std::string(key.initial) + ")") || key.is_number ||
                help.contains(key.initial))
        << key.name;
  }
}

TEST(CommandLine, OtherVerbs) {
  EXPECT_EQ(parse({"check-config", "f"}).verb, CommandLine::Verb::kCheckConfig);
  EXPECT_EQ(parse({"check-config", "f"}).sources.file, "f");
  EXPECT_EQ(parse({"--version"}).out, "godwitd " GODWIT_VERSION "\n");
  EXPECT_EQ(parse({"--version"}).exit_code, kExitDone);
  const auto wrong = parse({"--lisen", "x"});
  EXPECT_EQ(wrong.verb, CommandLine::Verb::kExit);
  EXPECT_EQ(wrong.exit_code, kExitUsage);
  EXPECT_TRUE(wrong.err.contains("--lisen") && wrong.err.ends_with("Try: godwitd --help\n"));
}

TEST(Greeting, SaysWhatToTypeNext) {
  Greeting greeting{(*io::Address::resolve("127.0.0.1:7400"))[0], "127.0.0.1:7480", "/d", "ab"};
  EXPECT_TRUE(greeting_text(greeting).contains("this machine only"));
  EXPECT_FALSE(greeting_text(greeting).contains("register"));
  greeting.quickstart = true;
  greeting.clients = (*io::Address::resolve("0.0.0.0:7400"))[0];
  const std::string text = greeting_text(greeting);
  EXPECT_FALSE(text.contains("this machine only"));
  EXPECT_TRUE(text.contains("register +33612345678 --server 127.0.0.1:7400\n"));
}

}  // namespace
}  // namespace godwit::godwitd
