#include "apps/godwit/options.h"

#include <gtest/gtest.h>

#include "apps/godwit/exit_code.h"

namespace godwit::cli {
namespace {

Options parsed(const std::vector<std::string>& args) {
  Parsed result = parse(args);
  EXPECT_TRUE(result.options) << result.err;
  return result.options.value_or(Options{});
}

TEST(Options, GlobalOptionsStandBeforeOrAfterTheCommand) {
  for (const auto& args : {std::vector<std::string>{"--home", "/h", "--json", "status"},
                           std::vector<std::string>{"status", "--json", "--home", "/h"}}) {
    const Options options = parsed(args);
    EXPECT_EQ(options.verb, Verb::kStatus);
    EXPECT_EQ(options.home, "/h");
    EXPECT_TRUE(options.json);
  }
}

TEST(Options, SendTakesTextAndWait) {
  const Options options =
      parsed({"send", "+33687654321", "hello", "--wait", "read", "--timeout", "2.5"});
  EXPECT_EQ(options.verb, Verb::kSend);
  EXPECT_EQ(options.phone, "+33687654321");
  EXPECT_EQ(options.text, "hello");
  EXPECT_EQ(options.wait, "read");
  EXPECT_EQ(options.timeout, milliseconds(2500));
  EXPECT_FALSE(parsed({"send", "+33687654321"}).text);
  EXPECT_EQ(parsed({"send", "+33687654321", ""}).text, "");
  EXPECT_EQ(parsed({"send", "+33687654321", "--", "-x"}).text, "-x");
}

TEST(Options, NumbersMayBeWrittenAsPeopleDo) {
  EXPECT_EQ(parsed({"send", "+33 6 87.65-43 21", "x"}).phone, "+33687654321");
  EXPECT_EQ(parsed({"register", "+1 (415) 555-2671"}).phone, "+14155552671");
}

TEST(Options, MistakesAreUsageErrors) {
  for (const auto& args :
       {std::vector<std::string>{}, std::vector<std::string>{"dance"},
        std::vector<std::string>{"send"},
        std::vector<std::string>{"send", "0612345678", "national"},
        std::vector<std::string>{"send", "+3361234567890123", "too long"},
        std::vector<std::string>{"send", "+336x5", "letters"},
        std::vector<std::string>{"send", "+33687654321", "--wait", "never"},
        std::vector<std::string>{"receive", "--count", "0"},
        std::vector<std::string>{"receive", "--timeout", "-1"},
        std::vector<std::string>{"verify", "+33687654321", "--mark", "--unmark"}}) {
    const Parsed result = parse(args);
    EXPECT_FALSE(result.options);
    EXPECT_EQ(result.exit_code, kExitUsage);
    EXPECT_NE(result.err, "");
  }
}

TEST(Options, MistakesAreJsonWhenAskedFor) {
  EXPECT_TRUE(parse({"dance", "--json"})
                  .err.starts_with("{\"type\":\"error\",\"code\":\"invalid\",\"text\":"));
}

TEST(Options, HelpAndVersionGoToStdout) {
  for (const char* flag : {"--help", "--version"}) {
    const Parsed result = parse({flag});
    EXPECT_EQ(result.exit_code, 0);
    EXPECT_NE(result.out, "");
    EXPECT_EQ(result.err, "");
  }
  EXPECT_NE(parse({"send", "--help"}).out.find("--wait"), std::string::npos);
}

TEST(Options, EveryCommandHasExamples) {
  for (const char* command :
       {"register", "send",  "receive", "chat",     "history",   "contacts",  "status",   "verify",
        "group",    "react", "edit",    "delete",   "forward",   "pin",       "unpin",    "star",
        "unstar",   "vote",  "open",    "info",     "starred",   "search",    "poll",     "archive",
        "mute",     "draft", "unmute",  "settings", "broadcast", "disappear", "unarchive"}) {
    EXPECT_NE(parse({command, "--help"}).out.find(std::string("  godwit ") + command),
              std::string::npos)
        << command;
  }
  for (const char* action :
       {"create", "add", "remove", "promote", "demote", "rename", "announce", "describe", "picture",
        "edit", "link", "join", "approve", "decline", "leave", "info", "list"}) {
    EXPECT_NE(parse({"group", action, "--help"}).out.find(std::string("  godwit group ") + action),
              std::string::npos)
        << action;
  }
}

TEST(Options, MistakesNameTheHelpOfTheirCommand) {
  EXPECT_NE(parse({"group", "create"}).err.find("Try: godwit group create --help"),
            std::string::npos);
  EXPECT_NE(parse({"dance"}).err.find("Try: godwit --help"), std::string::npos);
}

TEST(Options, NothingIsMarkedThatNobodyMarked) {
  for (const auto& args : {std::vector<std::string>{"verify", "+33687654321"},
                           {"group", "link", "Birds"},
                           {"group", "announce", "Birds"}}) {
    const Options options = parsed(args);
    EXPECT_FALSE(options.mark || options.unmark || options.clear || options.revoke) << args[0];
  }
  EXPECT_TRUE(parsed({"verify", "+33687654321", "--mark"}).mark);
  EXPECT_TRUE(parsed({"group", "announce", "Birds", "--off"}).clear);
}

TEST(Options, SearchTakesWords) {
  EXPECT_EQ(parsed({"search", "heron", "pond", "-n", "5"}).text, "heron pond ");
}

}  // namespace
}  // namespace godwit::cli
