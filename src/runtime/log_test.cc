#include "runtime/log.h"

#include <gtest/gtest.h>

namespace godwit::runtime {
namespace {

TEST(Log, LinesForPeopleAndForMachines) {
  const std::initializer_list<LogField> fields = {
      {"address", "127.0.0.1:7400"}, {"threads", std::uint64_t{2}}, {"why", "no \"room\""}};
  EXPECT_EQ(log_line(LogFormat::kHuman, LogLevel::kInfo, "listening", fields),
            "info: listening address=127.0.0.1:7400 threads=2 why=\"no \\\"room\\\"\"");
  EXPECT_EQ(log_line(LogFormat::kJson, LogLevel::kError, "listening", fields),
            R"("level":"error","msg":"listening","address":"127.0.0.1:7400","threads":2,)"
            R"("why":"no \"room\""})");
}

TEST(Log, NothingBreaksTheLine) {
  EXPECT_EQ(log_line(LogFormat::kJson, LogLevel::kWarn, "a", {{"b", "x\n\xff\x01"}}),
            R"("level":"warn","msg":"a","b":"x\u000a\u00ff\u0001"})");
  EXPECT_FALSE(log_line(LogFormat::kHuman, LogLevel::kWarn, "a", {{"b", "x\ny"}}).contains('\n'));
}

}  // namespace
}  // namespace godwit::runtime
