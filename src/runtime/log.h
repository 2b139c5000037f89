// log: one line per event to standard error: for people, or one JSON object per line.
//
// An event is a short lower-case phrase that never changes ("listening"); what varies goes into
// fields. Neither ever holds a phone number, a name, a key or content. Any thread may call.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <variant>

namespace godwit::runtime {

enum class LogLevel : std::uint8_t { kDebug, kInfo, kWarn, kError };
enum class LogFormat : std::uint8_t { kHuman, kJson };

struct LogField {
  std::string_view key;  // lower case
  std::variant<std::string_view, std::int64_t, std::uint64_t> value;
};

// Before it, events of kInfo and above are written for people.
void start_log(LogFormat format, LogLevel least);
void log(LogLevel level, std::string_view event, std::initializer_list<LogField> fields = {});

// The line as log() writes it, without the time: for tests.
std::string log_line(LogFormat format, LogLevel level, std::string_view event,
                     std::initializer_list<LogField> fields);

}  // namespace godwit::runtime
