// Config: what the person who runs a server may set.
//
// One table of keys feeds the TOML file, the environment (GODWIT_ and the key in capitals), the
// command line, `godwitd check-config` and docs/configuration.md. Later sources win: file,
// environment, command line. Strict: an unknown key or a bad value is an error that names the
// place, and what would be right.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ports/opened.h"
#include "runtime/log.h"

namespace godwit::runtime {

struct Config {
  std::string data;
  std::string listen;
  std::string http;  // empty: off
  std::uint16_t threads = 0;
  std::uint32_t max_connections = 0;
  std::uint32_t write_behind = 0;  // milliseconds
  LogFormat log = LogFormat::kHuman;
  LogLevel log_level = LogLevel::kInfo;
};

struct ConfigKey {
  std::string_view name;
  std::string_view initial;
  bool is_number;
  std::string_view meaning;  // a sentence
  bool (*set)(Config&, std::string_view value);
  std::string_view allowed;  // what set() accepts
  std::string environment() const;
};
std::span<const ConfigKey> config_keys();

struct ConfigSources {
  std::optional<std::string> file;  // must be readable when given
  std::function<const char*(const char*)> environment;  // getenv, or a test's
  std::vector<std::pair<std::string, std::string>> flags;  // key and value
};

// The effective configuration, and each key's value with the place that it came from.
struct LoadedConfig {
  struct Setting {
    const ConfigKey* key;
    std::string value;
    std::string from;  // "default", "godwitd.toml:3", "GODWIT_LISTEN", "--listen"
  };
  Config config;
  std::vector<Setting> settings;
  // The settings as a TOML file with every key explained.
  std::string text() const;
};
ports::Opened<LoadedConfig> load_config(const ConfigSources& sources);

// The name in `names` nearest to `word` by edits, empty when none is near.
std::string_view nearest(std::string_view word, std::span<const std::string_view> names);

}  // namespace godwit::runtime
