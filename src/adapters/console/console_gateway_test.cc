#include "adapters/console/console_gateway.h"

#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "ports/gateway_conformance.h"
#include "ports/test_directory.h"

namespace godwit::adapters {
namespace {

using ports::TestDirectory;

std::string content_of(const std::string& path) {
  std::ifstream file(path);
  return std::string((std::istreambuf_iterator<char>(file)), {});
}

struct ConsoleBench final : ports::GatewayBench {
  TestDirectory directory;
  std::ostringstream out;
  ConsoleGateway console{out, directory.path() + "/verification-codes.jsonl"};
  ports::Gateway& gateway() override { return console; }
  std::vector<std::string> delivered() override {
    std::istringstream lines(out.str());
    std::vector<std::string> delivered;
    for (std::string line; std::getline(lines, line);) {
      const std::string intro = "verification code for ";
      EXPECT_TRUE(line.starts_with(intro));
      delivered.push_back(line.substr(intro.size()).erase(line.find(':') - intro.size(), 1));
    }
    return delivered;
  }
};
using ports::GatewayConformance;
INSTANTIATE_TEST_SUITE_P(Console, GatewayConformance,
                         testing::Values([] { return std::make_unique<ConsoleBench>(); }));

TEST(ConsoleGateway, WritesJsonLinesForItsOwnerAlone) {
  const TestDirectory directory;
  const std::string path = directory.path() + "/verification-codes.jsonl";
  std::ostringstream out;
  ConsoleGateway gateway(out, path);
  ASSERT_TRUE(gateway.send_code("+33612345678", "123456"));
  ASSERT_TRUE(gateway.send_code("+33687654321", "000001"));
  EXPECT_EQ(out.str(),
            "verification code for +33612345678: 123456\n"
            "verification code for +33687654321: 000001\n");
  EXPECT_EQ(content_of(path),
            "{\"phone\":\"+33612345678\",\"code\":\"123456\"}\n"
            "{\"phone\":\"+33687654321\",\"code\":\"000001\"}\n");
  struct stat status{};
  ASSERT_EQ(stat(path.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777U, 0600U);
}

TEST(ConsoleGateway, TheFileDoesNotGrowForEver) {
  const TestDirectory directory;
  const std::string path = directory.path() + "/codes";
  std::ofstream(path) << std::string(1024 * 1024 + 1, 'x');
  std::ostringstream out;
  ASSERT_TRUE(ConsoleGateway(out, path).send_code("+33612345678", "123456"));
  EXPECT_EQ(std::filesystem::file_size(path), 41U);
}

TEST(ConsoleGateway, RefusesWhatIsNoNumberOrNoCode) {
  const TestDirectory directory;
  std::ostringstream out;
  ConsoleGateway gateway(out, directory.path() + "/codes");
  EXPECT_EQ(gateway.send_code("+33 6 12 34 56 78", "123456").error().code, Code::kInvalid);
  EXPECT_EQ(gateway.send_code("+999123456789", "123456").error().code, Code::kInvalid);
  EXPECT_EQ(gateway.send_code("+33612345678", "12345").error().code, Code::kInvalid);
  EXPECT_EQ(gateway.send_code("+33612345678", "12345x").error().code, Code::kInvalid);
  EXPECT_EQ(out.str(), "");
}

TEST(ConsoleGateway, ShowsTheCodeEvenWithoutAFile) {
  std::ostringstream out;
  ConsoleGateway gateway(out, "/proc/no/such/file");
  EXPECT_EQ(gateway.send_code("+33612345678", "123456").error().code, Code::kIo);
  EXPECT_NE(out.str().find("123456"), std::string::npos);
}

}  // namespace
}  // namespace godwit::adapters
