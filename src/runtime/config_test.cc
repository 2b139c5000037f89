#include "runtime/config.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <map>
#include <sstream>

namespace godwit::runtime {
namespace {

class ConfigTest : public testing::Test {
 protected:
  ~ConfigTest() override { std::remove(path_.c_str()); }

  ports::Opened<LoadedConfig> load(std::string_view toml) {
    std::ofstream(path_) << toml;
    sources_.file = path_;
    return load_config(sources_);
  }
  std::string error(std::string_view toml) {
    const auto loaded = load(toml);
    if (loaded) return "loaded";
    EXPECT_TRUE(loaded.error().text.starts_with(path_)) << loaded.error().text;
    return loaded.error().text.substr(std::min(path_.size(), loaded.error().text.size()));
  }

  const std::string path_ = testing::TempDir() + "config_test_" + std::to_string(getpid());
  ConfigSources sources_;
};

TEST_F(ConfigTest, DefaultsAreSafe) {
  const auto loaded = load_config({});
  ASSERT_TRUE(loaded);
  EXPECT_TRUE(loaded->config.listen.starts_with("127.0.0.1:"));
  EXPECT_TRUE(loaded->config.http.starts_with("127.0.0.1:"));
}

TEST_F(ConfigTest, LaterSourcesWin) {
  std::map<std::string, std::string> environment = {{"GODWIT_HTTP", "off"},
                                                    {"GODWIT_LISTEN", "[::]:2"}};
  sources_.environment = [&](const char* name) {
    const auto at = environment.find(name);
    return at == environment.end() ? nullptr : at->second.c_str();
  };
  sources_.flags = {{"listen", "0.0.0.0:3"}, {"log", "json"}};
  const auto loaded = load("threads = 3\nlisten = \"a:1\"\nhttp = \"b:1\"\nlog_level = \"warn\"");
  ASSERT_TRUE(loaded) << loaded.error().text;
  EXPECT_EQ(loaded->config.threads, 3);
  EXPECT_EQ(loaded->config.listen, "0.0.0.0:3");
  EXPECT_EQ(loaded->config.http, "");
  EXPECT_EQ(loaded->config.log, LogFormat::kJson);
  EXPECT_EQ(loaded->config.log_level, LogLevel::kWarn);
  EXPECT_EQ(loaded->config.data, "godwit-data");
}

TEST_F(ConfigTest, MistakesAreToldWithTheirPlaceAndARemedy) {
  EXPECT_EQ(error("\nlisen = \"a:1\""), ":2: unknown key \"lisen\"; did you mean \"listen\"?");
  EXPECT_TRUE(error("colour = 1").contains("the keys are data listen http threads"));
  EXPECT_EQ(error("[log]\nform = \"json\""), ":1: log is a text, in quotes");
  EXPECT_EQ(error("threads = \"2\""), ":1: threads is a number, without quotes");
  EXPECT_EQ(error("# more\nthreads = 257"), ":2: threads is a number from 0 to 256, not \"257\"");
  EXPECT_EQ(error("threads = -1"), ":1: threads is a number from 0 to 256, not \"-1\"");
  EXPECT_TRUE(error("listen = \"7400\"").contains("listen is HOST:PORT"));
  EXPECT_TRUE(error("log = \"xml\"").contains("log is human or json, not \"xml\""));
  EXPECT_TRUE(error("threads = ").starts_with(":1: "));
  EXPECT_TRUE(error("threads = 1\nthreads = 2").starts_with(":2: "));
  sources_.file.reset();
  sources_.flags = {{"log", "loud"}};
  EXPECT_EQ(load_config(sources_).error().text, "--log: log is human or json, not \"loud\"");
  sources_.file = "/nonexistent/godwitd.toml";
  EXPECT_EQ(load_config(sources_).error().code, Code::kNotFound);
}

TEST_F(ConfigTest, TheTextIsAFileThatSaysTheSame) {
  sources_.flags = {{"data", "a \"quoted\" \\ path"}, {"threads", "7"}, {"http", "off"}};
  const auto first = load_config(sources_);
  ASSERT_TRUE(first);
  sources_.flags.clear();
  const auto second = load(first->text());
  ASSERT_TRUE(second) << second.error().text << first->text();
  EXPECT_EQ(second->config.data, first->config.data);
  EXPECT_EQ(second->config.threads, 7);
  EXPECT_EQ(second->config.http, "");
}

TEST_F(ConfigTest, EveryKeyIsDocumented) {
  std::stringstream docs;
  docs << std::ifstream("docs/configuration.md").rdbuf();
  for (const ConfigKey& key : config_keys()) {
    const std::string row = "| `" + std::string(key.name) + "` | `" + key.environment() + "` | `" +
                            std::string(key.initial) + "` |";
    EXPECT_TRUE(docs.str().contains(row)) << row;
  }
}

}  // namespace
}  // namespace godwit::runtime
