#include "runtime/log.h"

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <atomic>

namespace godwit::runtime {

namespace {

std::atomic<LogFormat> g_format = LogFormat::kHuman;

spdlog::logger& logger() {
  static const auto shared = [] {
    auto made = std::make_shared<spdlog::logger>("godwit",
                                                 std::make_shared<spdlog::sinks::stderr_sink_mt>());
    made->set_pattern("%Y-%m-%dT%H:%M:%S.%eZ %v", spdlog::pattern_time_type::utc);
    made->flush_on(spdlog::level::info);
    return made;
  }();
  return *shared;
}

spdlog::level::level_enum level_of(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug: return spdlog::level::debug;
    case LogLevel::kInfo: return spdlog::level::info;
    case LogLevel::kWarn: return spdlog::level::warn;
    case LogLevel::kError: break;
  }
  return spdlog::level::err;
}

std::string_view name_of(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug: return "debug";
    case LogLevel::kInfo: return "info";
    case LogLevel::kWarn: return "warn";
    case LogLevel::kError: break;
  }
  return "error";
}

// A JSON string; octets that are not printable ASCII are escaped one by one, so that whatever a
// field holds, the line stays one line of JSON.
void put_quoted(std::string& out, std::string_view text) {
  out += '"';
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (c >= 0x20 && c < 0x7f) {
      out += c;
    } else {
      out += fmt::format("\\u{:04x}", static_cast<unsigned char>(c));
    }
  }
  out += '"';
}

void put_value(std::string& out, const LogField& field) {
  if (const auto* text = std::get_if<std::string_view>(&field.value)) {
    put_quoted(out, *text);
  } else if (const auto* number = std::get_if<std::int64_t>(&field.value)) {
    out += std::to_string(*number);
  } else {
    out += std::to_string(std::get<std::uint64_t>(field.value));
  }
}

}  // namespace

void start_log(LogFormat format, LogLevel least) {
  g_format = format;
  logger().set_level(level_of(least));
  logger().set_pattern(
      format == LogFormat::kJson ? "{\"ts\":\"%Y-%m-%dT%H:%M:%S.%eZ\",%v" : "%H:%M:%S %v",
      format == LogFormat::kJson ? spdlog::pattern_time_type::utc
                                 : spdlog::pattern_time_type::local);
}

std::string log_line(LogFormat format, LogLevel level, std::string_view event,
                     std::initializer_list<LogField> fields) {
  std::string line;
  if (format == LogFormat::kJson) {
    line.append("\"level\":\"").append(name_of(level)).append("\",\"msg\":");
    put_quoted(line, event);
    for (const LogField& field : fields) {
      line += ',';
      put_quoted(line, field.key);
      line += ':';
      put_value(line, field);
    }
    return line + '}';
  }
  line.append(name_of(level)).append(": ").append(event);
  for (const LogField& field : fields) {
    line.append(" ").append(field.key).append("=");
    const auto* text = std::get_if<std::string_view>(&field.value);
    const bool plain = text != nullptr && !text->empty() &&
                       text->find_first_not_of(
                           "0123456789abcdefghijklmnopqrstuvwxyz"
                           "ABCDEFGHIJKLMNOPQRSTUVWXYZ.:/_-[]") == std::string_view::npos;
    if (plain) line += *text;
    else put_value(line, field);
  }
  return line;
}

void log(LogLevel level, std::string_view event, std::initializer_list<LogField> fields) {
  if (!logger().should_log(level_of(level))) return;
  logger().log(level_of(level), spdlog::string_view_t(log_line(g_format, level, event, fields)));
}

}  // namespace godwit::runtime
