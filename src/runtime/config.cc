#include "runtime/config.h"

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <numeric>
#include <sstream>

#include "runtime/toml.h"

namespace godwit::runtime {

namespace {

constexpr std::uintmax_t kMaxFile = 64 * 1024;  // a configuration, not a data set

template <typename Int>
bool set_number(Int& to, std::string_view text, Int max) {
  Int value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || value > max) return false;
  to = value;
  return true;
}

template <typename Enum>
bool set_choice(Enum& to, std::string_view text, std::span<const std::string_view> names) {
  const auto at = std::ranges::find(names, text);
  if (at == names.end()) return false;
  to = static_cast<Enum>(at - names.begin());
  return true;
}

bool set_address(std::string& to, std::string_view text) {
  if (text.find(':') == std::string_view::npos) return false;
  to = text;
  return true;
}

constexpr std::string_view kFormats[] = {"human", "json"};
constexpr std::string_view kLevels[] = {"debug", "info", "warn", "error"};
constexpr std::string_view kAddress = "HOST:PORT, e.g. 127.0.0.1:7400 or [::]:7400";

constexpr ConfigKey kKeys[] = {
    {"data", "godwit-data", false,
     "The directory that holds everything this server keeps. Created when absent.",
     [](Config& c, std::string_view v) { return c.data = v, !v.empty(); }, "a path"},
    {"listen", "127.0.0.1:7400", false,
     "Where clients connect. The default is this machine only; 0.0.0.0:7400 or [::]:7400 is "
     "everybody.",
     [](Config& c, std::string_view v) { return set_address(c.listen, v); }, kAddress},
    {"http", "127.0.0.1:7480", false,
     "Where /healthz, /readyz and /metrics are served, without a password: keep it private. "
     "\"off\" serves none.",
     [](Config& c, std::string_view v) {
       if (v != "off") return set_address(c.http, v);
       c.http.clear();
       return true;
     },
     "HOST:PORT, e.g. 127.0.0.1:7480, or off"},
    {"threads", "0", true, "Threads that serve clients, one shard each. 0: one per core.",
     [](Config& c, std::string_view v) { return set_number<std::uint16_t>(c.threads, v, 256); },
     "a number from 0 to 256"},
    {"max_connections", "0", true,
     "The most connections served at once. 0: as many as the limit of open files allows. More than "
     "that: threads with tables of open files of their own are added.",
     [](Config& c, std::string_view v) {
       return set_number<std::uint32_t>(c.max_connections, v, 4'000'000);
     },
     "a number from 0 to 4000000"},
    {"write_behind", "200", true,
     "Milliseconds that a message to a connected device may wait for its acknowledgement before it "
     "is stored. What is acknowledged in time is never stored; nothing is accepted before one of "
     "the two. 0: everything is stored at once.",
     [](Config& c, std::string_view v) {
       return set_number<std::uint32_t>(c.write_behind, v, 5'000);
     },
     "a number from 0 to 5000"},
    {"log", "human", false, "The form of the log on standard error: human, or json for machines.",
     [](Config& c, std::string_view v) { return set_choice(c.log, v, kFormats); }, "human or json"},
    {"log_level", "info", false, "The least level that is logged: debug, info, warn or error.",
     [](Config& c, std::string_view v) { return set_choice(c.log_level, v, kLevels); },
     "debug, info, warn or error"},
};

std::vector<std::string_view> key_names() {
  std::vector<std::string_view> names;
  for (const ConfigKey& key : kKeys) names.push_back(key.name);
  return names;
}

std::size_t edits(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = std::exchange(row[0], i);
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t changed = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({changed, row[j] + 1, row[j - 1] + 1});
    }
  }
  return row.back();
}

std::string quoted(std::string_view text) { return "\"" + std::string(text) + "\""; }

std::unexpected<ports::OpenError> wrong(const std::string& from, std::string text) {
  return ports::cannot_open(Code::kInvalid, from + ": " + std::move(text));
}

std::unexpected<ports::OpenError> unknown_key(const std::string& from, std::string_view name) {
  const auto names = key_names();
  std::string text = "unknown key " + quoted(name);
  if (const auto near = nearest(name, names); !near.empty()) {
    return wrong(from, text + "; did you mean " + quoted(near) + "?");
  }
  text += "; the keys are";
  for (const std::string_view known : names) text.append(" ").append(known);
  return wrong(from, text);
}

ports::Opened<void> apply(LoadedConfig& loaded, std::string_view name, std::string_view value,
                          const std::string& from) {
  const auto setting = std::ranges::find_if(
      loaded.settings, [&](const auto& known) { return known.key->name == name; });
  if (setting == loaded.settings.end()) return unknown_key(from, name);
  if (!setting->key->set(loaded.config, value)) {
    return wrong(from, std::string(name) + " is " + std::string(setting->key->allowed) + ", not " +
                           quoted(value));
  }
  setting->value = value;
  setting->from = from;
  return {};
}

ports::Opened<void> apply_file(LoadedConfig& loaded, const std::string& path) {
  std::error_code error;
  const auto size = std::filesystem::file_size(path, error);
  std::ifstream in(path);
  if (error || !in) {
    return ports::cannot_open(Code::kNotFound, path + ": cannot be read: check --config");
  }
  if (size > kMaxFile) return wrong(path, "is over 64 KiB: not a configuration of godwitd");
  std::stringstream text;
  text << in.rdbuf();
  const toml::parse_result parsed = toml::parse(text.str());
  const auto place = [&](const toml::source_region& region) {
    return path + ":" + std::to_string(region.begin.line);
  };
  if (!parsed) {
    return wrong(place(parsed.error().source()), std::string(parsed.error().description()));
  }
  // In the order of the file, so that the first mistake is told first.
  std::vector<std::pair<std::string, const toml::node*>> entries;
  for (const auto& [key, node] : parsed.table()) entries.emplace_back(key.str(), &node);
  std::ranges::stable_sort(entries, {},
                           [](const auto& entry) { return entry.second->source().begin.line; });
  for (const auto& [name, node] : entries) {
    const std::string from = place(node->source());
    const auto known = std::ranges::find(kKeys, name, &ConfigKey::name);
    if (known == std::end(kKeys)) return unknown_key(from, name);
    std::string value;
    if (known->is_number && node->is_integer()) {
      value = std::to_string(node->as_integer()->get());
    } else if (!known->is_number && node->is_string()) {
      value = node->as_string()->get();
    } else {
      return wrong(from, name + (known->is_number ? " is a number, without quotes"
                                                  : " is a text, in quotes"));
    }
    if (auto applied = apply(loaded, name, value, from); !applied) return applied;
  }
  return {};
}

}  // namespace

std::span<const ConfigKey> config_keys() { return kKeys; }

std::string ConfigKey::environment() const {
  std::string variable = "GODWIT_";
  for (const char c : name) {
    variable += c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
  }
  return variable;
}

std::string_view nearest(std::string_view word, std::span<const std::string_view> names) {
  std::string_view best;
  std::size_t least = std::max<std::size_t>(word.size() / 3, 1) + 1;
  if (word.size() > 64) return best;
  for (const std::string_view name : names) {
    if (const std::size_t distance = edits(word, name); distance < least) {
      least = distance;
      best = name;
    }
  }
  return best;
}

ports::Opened<LoadedConfig> load_config(const ConfigSources& sources) {
  LoadedConfig loaded;
  for (const ConfigKey& key : kKeys) loaded.settings.push_back({&key, {}, {}});
  for (const ConfigKey& key : kKeys) {
    if (auto set = apply(loaded, key.name, key.initial, "default"); !set) {
      return std::unexpected(set.error());
    }
  }
  if (sources.file) {
    if (auto set = apply_file(loaded, *sources.file); !set) return std::unexpected(set.error());
  }
  for (const ConfigKey& key : kKeys) {
    const std::string variable = key.environment();
    const char* value = sources.environment ? sources.environment(variable.c_str()) : nullptr;
    if (value == nullptr) continue;
    if (auto set = apply(loaded, key.name, value, variable); !set) {
      return std::unexpected(set.error());
    }
  }
  for (const auto& [name, value] : sources.flags) {
    if (auto set = apply(loaded, name, value, "--" + name); !set) {
      return std::unexpected(set.error());
    }
  }
  return loaded;
}

std::string LoadedConfig::text() const {
  std::string out;
  for (const Setting& setting : settings) {
    out.append("# ").append(setting.key->meaning).append("\n");
    out.append("# From: ").append(setting.from).append("\n");
    out.append(setting.key->name).append(" = ");
    if (setting.key->is_number) {
      out += setting.value;
    } else {
      std::stringstream value;
      value << toml::value<std::string>(setting.value);
      out += value.str();
    }
    out += "\n\n";
  }
  out.pop_back();
  return out;
}

}  // namespace godwit::runtime
