#include "apps/godwit/output.h"

#include <ctime>

namespace godwit::cli {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";

bool steers_terminal(char32_t c) {
  const bool c1 = c >= 0x7F && c <= 0x9F;
  const bool bidi = (c >= 0x202A && c <= 0x202E) || (c >= 0x2066 && c <= 0x2069);
  return c1 || bidi || c == 0x2028 || c == 0x2029;
}

std::tm local(Instant at) {
  const std::time_t seconds = static_cast<std::time_t>(at.ms / 1000);
  std::tm parts{};
  localtime_r(&seconds, &parts);
  return parts;
}

std::string formatted(const std::tm& parts, const char* format) {
  char text[64];
  return {text, std::strftime(text, sizeof text, format, &parts)};
}

// Calendar days from `at` to `now`, in local time.
int days_ago(Instant at, Instant now) {
  const auto midnight = [](Instant t) {
    std::tm parts = local(t);
    parts.tm_hour = 12;
    parts.tm_min = parts.tm_sec = 0;
    return std::mktime(&parts);
  };
  return static_cast<int>((midnight(now) - midnight(at)) / 86400);
}

}  // namespace

std::size_t utf8_character(std::string_view text, char32_t& value) {
  const auto octet = [&](std::size_t i) { return static_cast<std::uint8_t>(text[i]); };
  const std::uint8_t lead = octet(0);
  if (lead < 0x80) {
    value = lead;
    return 1;
  }
  const std::size_t size = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : lead >= 0xC2 ? 2 : 0;
  if (size == 0 || lead > 0xF4 || text.size() < size) return 0;
  value = lead & (0xFFu >> (size + 1));
  for (std::size_t i = 1; i < size; ++i) {
    if ((octet(i) & 0xC0) != 0x80) return 0;
    value = value << 6 | (octet(i) & 0x3Fu);
  }
  const char32_t least = size == 2 ? 0x80 : size == 3 ? 0x800 : 0x10000;
  const bool surrogate = value >= 0xD800 && value <= 0xDFFF;
  return value < least || surrogate || value > 0x10FFFF ? 0 : size;
}

std::string json_line(const Json& object) {
  const std::string dumped = object.dump(-1, ' ', false, Json::error_handler_t::replace);
  std::string line;
  line.reserve(dumped.size() + 1);
  static constexpr char kHex[] = "0123456789abcdef";
  for (std::size_t i = 0; i < dumped.size(); ++i) {
    const auto octet = static_cast<std::uint8_t>(dumped[i]);
    const auto next = i + 1 < dumped.size() ? static_cast<std::uint8_t>(dumped[i + 1]) : 0;
    const bool c1 = octet == 0xC2 && next >= 0x80 && next < 0xA0;
    if (octet == 0x7F || c1) {
      const auto value = static_cast<std::uint8_t>(c1 ? next : octet);
      line += {'\\', 'u', '0', '0', kHex[value >> 4], kHex[value & 15]};
      i += c1 ? 1 : 0;
    } else {
      line += dumped[i];
    }
  }
  return line += '\n';
}

std::string printable(std::string_view text, bool keep_lines) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    char32_t c = 0;
    const std::size_t size = utf8_character(text, c);
    if (size == 0 || steers_terminal(c)) {
      out += kReplacement;
    } else if (c == '\n' && keep_lines) {
      out += '\n';
    } else if (c == '\t') {
      out += "    ";
    } else if (c < 0x20) {
      out += {'\xE2', '\x90', static_cast<char>(0x80 + c)};
    } else {
      out += text.substr(0, size);
    }
    text.remove_prefix(size == 0 ? 1 : size);
  }
  return out;
}

std::size_t utf8_error(std::string_view text) {
  std::size_t at = 0;
  while (at < text.size()) {
    char32_t c = 0;
    const std::size_t size = utf8_character(text.substr(at), c);
    if (size == 0) return at;
    at += size;
  }
  return std::string_view::npos;
}

std::string paint(Ink ink, std::string_view text, bool color) {
  static constexpr const char* kCodes[] = {"0", "2", "1", "31", "32", "34", "33", "36"};
  if (!color || ink == Ink::kPlain) return std::string(text);
  return std::string("\x1b[") + kCodes[static_cast<std::size_t>(ink)] + "m" + std::string(text) +
         "\x1b[0m";
}

std::string clock_time(Instant at) { return formatted(local(at), "%H:%M"); }

std::string short_time(Instant at, Instant now) {
  const int days = days_ago(at, now);
  if (days == 0) return clock_time(at);
  return formatted(local(at), days > 0 && days < 7 ? "%a %H:%M" : "%Y-%m-%d %H:%M");
}

std::string day_name(Instant at, Instant now) {
  const int days = days_ago(at, now);
  if (days == 0) return "Today";
  if (days == 1) return "Yesterday";
  return formatted(local(at), "%A %-d %B %Y");
}

std::string grouped(std::uint64_t number) {
  std::string text = std::to_string(number);
  for (std::size_t at = text.size(); at > 3; at -= 3) text.insert(at - 3, ",");
  return text;
}

std::string who(const std::string& phone, client::ChatId chat) {
  if (chat.is_group()) return "group:" + to_hex(chat.octets);
  return phone.empty() ? "user:" + to_hex(chat.octets) : phone;
}

std::string id_text(const MessageId& id) { return to_hex(id.view()); }

std::string_view tick(client::Status status) {
  switch (status) {
    case client::Status::kQueued: return "·";
    case client::Status::kSent: return "✓";
    case client::Status::kDelivered:
    case client::Status::kRead: return "✓✓";
    case client::Status::kFailed: return "✗";
  }
  return "?";
}

Json receipt_json(const client::StatusChanged& change) {
  Json object = {{"type", "receipt"},
                 {"for", id_text(change.id)},
                 {"status", client::status_name(change.status)},
                 {"from", who(change.phone, change.from)}};
  if (change.chat.is_group()) object["chat"] = who({}, change.chat);
  return object;
}

Json error_json(std::string_view code, std::string_view text) {
  return {{"type", "error"}, {"code", code}, {"text", text}};
}

}  // namespace godwit::cli
