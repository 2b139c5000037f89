// How things are written: JSON lines for programs, safe and pleasant text for people.
//
// Text that somebody else wrote is hostile: it may hold escape sequences that drive a terminal.
// printable() takes their power away; every human output of foreign text goes through it.
#pragma once

#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "client/types.h"

namespace godwit::cli {

// Keys keep the order in which they were put.
using Json = nlohmann::ordered_json;

// One object as one line, newline included. Control characters (C0, DEL, C1) are escaped.
std::string json_line(const Json& object);

// `text` with everything that could steer a terminal made visible or replaced: C0 as U+2400
// pictures, C1, DEL and bidirectional overrides as U+FFFD, malformed UTF-8 as U+FFFD. Line feeds
// stay when `keep_lines`; tabs become spaces.
std::string printable(std::string_view text, bool keep_lines = false);

// Length of the well-formed UTF-8 character at the head of `text` (not empty); 0: there is none.
std::size_t utf8_character(std::string_view text, char32_t& value);
// Offset of the first octet that is not well-formed UTF-8, or npos.
std::size_t utf8_error(std::string_view text);

enum class Ink : std::uint8_t { kPlain, kDim, kBold, kRed, kGreen, kBlue, kYellow, kCyan };
std::string paint(Ink ink, std::string_view text, bool color);

// "14:05" today, "Mon 14:05" within the week, "2031-02-03 14:05" before; local time.
std::string short_time(Instant at, Instant now);
std::string day_name(Instant at, Instant now);  // "Today", "Yesterday", "Monday 3 February 2031"
std::string clock_time(Instant at);             // "14:05"

// 1234567 -> "1,234,567"
std::string grouped(std::uint64_t number);

// The E.164 number of a person, or "user:<hex>" while it is unknown; "group:<hex>".
std::string who(const std::string& phone, client::ChatId chat);
std::string id_text(const MessageId& id);

// "·" queued, "✓" sent, "✓✓" delivered and read, "✗" failed.
std::string_view tick(client::Status status);

// ---- the objects of --json, one per line (docs/cli.md)
// Names people: numbers, or "user:<hex>"; the nil id is this account.
using Names = std::function<std::string(UserId)>;
Json message_json(const client::Message& message, const Names& names);
Json history_json(const client::Message& message, const Names& names);
// What was done to a message: type reaction, edit, deletion, vote, pin or opened.
Json change_json(const client::MessageChanged& change, const Names& names);
// The same for people, after whose name it stands; `about`: the message's text, as shown.
std::string change_text(const client::MessageChanged& change, std::string about);
// A message for people: its text, and what goes with it, in lines. Foreign text is made harmless.
std::string message_text(const client::Message& message, const Names& names);
std::string lifetime_text(Duration lifetime);  // "24 hours", "7 days"
Json receipt_json(const client::StatusChanged& change);
Json error_json(std::string_view code, std::string_view text);

}  // namespace godwit::cli
