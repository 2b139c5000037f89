#include "apps/godwit/chat_model.h"

#include <algorithm>
#include <chrono>
#include <cwchar>

#include "apps/godwit/line_editor.h"

namespace godwit::cli {
namespace {

constexpr std::size_t kEarly = 1000;  // statuses kept for messages that may still be told

std::size_t columns_of(char32_t c) {
  const int width = ::wcwidth(static_cast<wchar_t>(c));
  return width > 0 ? static_cast<std::size_t>(width) : 0;
}

client::Status status_of(std::string_view name) {
  using client::Status;
  for (const Status status : {Status::kSent, Status::kDelivered, Status::kRead, Status::kFailed}) {
    if (name == client::status_name(status)) return status;
  }
  return Status::kQueued;
}

Instant wall_clock() {
  const auto since = std::chrono::system_clock::now().time_since_epoch();
  return {std::chrono::duration_cast<std::chrono::milliseconds>(since).count()};
}

std::string text_at(const Json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

bool flag_at(const Json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_boolean() && found->get<bool>();
}

}  // namespace

std::size_t columns_of(std::u32string_view text) {
  std::size_t columns = 0;
  for (const char32_t c : text) columns += columns_of(c);
  return columns;
}

std::vector<std::u32string> wrap(std::u32string_view text, std::size_t width) {
  width = std::max<std::size_t>(width, 2);
  std::vector<std::u32string> lines;
  std::u32string line;
  std::size_t used = 0;
  for (const char32_t c : text) {
    if (c == U'\n') {
      lines.push_back(std::exchange(line, {}));
      used = 0;
      continue;
    }
    const std::size_t columns = columns_of(c);
    if (used + columns > width) {
      const std::size_t space = line.rfind(U' ');
      std::u32string rest;
      if (c != U' ' && space != std::u32string::npos && space > 0) {
        rest = line.substr(space + 1);
        line.resize(space);
      }
      lines.push_back(std::exchange(line, std::move(rest)));
      used = columns_of(line);
      if (c == U' ') continue;
    }
    line += c;
    used += columns;
  }
  lines.push_back(std::move(line));
  return lines;
}

bool ChatModel::apply(std::string_view json) {
  const Json object = Json::parse(json, nullptr, false);
  if (!object.is_object()) return false;
  const std::string type = text_at(object, "type");
  if (type == "chat") {
    started_ = true;
    with_ = printable(text_at(object, "with"));
    verified_ = flag_at(object, "verified");
  } else if (type == "message") {
    add(object);
  } else if (type == "status") {
    change(object);
  } else if (type == "page") {
    more_ = flag_at(object, "more");
  } else if (type == "connection") {
    online_ = flag_at(object, "online");
    reason_ = printable(text_at(object, "reason"));
  } else if (type == "identity") {
    verified_ = false;
    note(
        "The keys of this contact changed: a new phone, or somebody in between. "
        "Compare the safety number: godwit verify " +
        with_);
  } else if (type == "error") {
    problem_ = printable(text_at(object, "text"));
    text_back_ = text_at(object, "text_back");
  }
  return true;
}

void ChatModel::add(const Json& object) {
  Message message;
  message.id = text_at(object, "id");
  message.own = text_at(object, "direction") == "out";
  if (const auto at = object.find("timestamp_ms"); at != object.end() && at->is_number_integer()) {
    message.composed = {at->get<std::int64_t>()};
  }
  message.status = status_of(text_at(object, "status"));
  message.text = from_utf8(printable(text_at(object, "text"), true));
  message.failure = from_utf8(printable(text_at(object, "failure")));
  if (const auto early = early_.find(message.id); early != early_.end()) {
    message.status = std::max(message.status, early->second);
    early_.erase(early);
  }
  if (!message.own) unread_ = true;
  if (flag_at(object, "older")) {
    messages_.push_front(std::move(message));
  } else {
    messages_.push_back(std::move(message));
    ++arrived_;
  }
}

void ChatModel::change(const Json& object) {
  const std::string id = text_at(object, "id");
  const client::Status status = status_of(text_at(object, "status"));
  const auto found = std::find_if(messages_.rbegin(), messages_.rend(),
                                  [&](const Message& message) { return message.id == id; });
  if (found == messages_.rend()) {
    if (early_.size() < kEarly) early_[id] = status;
    return;
  }
  found->status = std::max(found->status, status);
  found->failure = from_utf8(printable(text_at(object, "failure")));
}

void ChatModel::note(std::string_view text) {
  Message message;
  message.note = true;
  message.composed = wall_clock();
  message.text = from_utf8(text);
  messages_.push_back(std::move(message));
}

void ChatModel::lay_out(const Message& message, std::size_t width,
                        std::vector<ChatLine>& out) const {
  if (message.note) {
    for (std::u32string& text : wrap(message.text, width - 4)) {
      out.push_back({.kind = ChatLine::Kind::kNote, .indent = 2, .text = std::move(text)});
    }
    return;
  }
  std::string stamp = "  " + clock_time(message.composed);
  if (message.own) stamp += " " + std::string(tick(message.status));
  const std::u32string tail = from_utf8(stamp);
  const std::size_t tail_columns = columns_of(tail);
  const std::size_t most = std::max<std::size_t>(width * 3 / 4, tail_columns + 8);
  std::vector<std::u32string> lines = wrap(message.text, most);
  std::size_t widest = 0;
  for (const std::u32string& line : lines) widest = std::max(widest, columns_of(line));
  if (columns_of(lines.back()) + tail_columns > most) lines.emplace_back();
  widest = std::max(widest, columns_of(lines.back()) + tail_columns);
  const std::size_t indent = message.own && width > widest + 2 ? width - widest - 1 : 1;
  const bool failed = message.status == client::Status::kFailed;
  for (std::u32string& line : lines) {
    ChatLine shown{.kind = message.own ? ChatLine::Kind::kOwn : ChatLine::Kind::kTheirs,
                   .indent = indent,
                   .text = std::move(line)};
    shown.failed = failed;
    out.push_back(std::move(shown));
  }
  ChatLine& last = out.back();
  const std::size_t gap = widest - columns_of(last.text) - tail_columns;
  last.stamp = std::u32string(message.own ? gap : 0, U' ') + tail;
  last.read = message.status == client::Status::kRead;
  if (failed && !message.failure.empty()) {
    ChatLine why{.kind = ChatLine::Kind::kOwn, .indent = 1, .text = message.failure};
    why.indent = width > columns_of(why.text) + 2 ? width - columns_of(why.text) - 1 : 1;
    why.failed = true;
    out.push_back(std::move(why));
  }
}

std::vector<ChatLine> ChatModel::lines(std::size_t width, std::size_t height,
                                       std::size_t scroll) const {
  const Instant now = wall_clock();
  std::vector<std::vector<ChatLine>> blocks;  // newest message first
  std::size_t have = 0;
  for (std::size_t i = messages_.size(); i-- > 0 && have < height + scroll;) {
    const Message& message = messages_[i];
    std::vector<ChatLine> block;
    const std::string day = day_name(message.composed, now);
    if (i == 0 || day_name(messages_[i - 1].composed, now) != day) {
      const std::u32string label = from_utf8("──  " + day + "  ──");
      const std::size_t columns = columns_of(label);
      const std::size_t indent = width > columns ? (width - columns) / 2 : 0;
      block.push_back({.kind = ChatLine::Kind::kDay, .indent = indent, .text = label});
    }
    lay_out(message, width, block);
    have += block.size();
    blocks.push_back(std::move(block));
  }
  std::vector<ChatLine> all;
  for (auto block = blocks.rbegin(); block != blocks.rend(); ++block) {
    std::ranges::move(*block, std::back_inserter(all));
  }
  const std::size_t end = all.size() - std::min(scroll, all.size());
  const std::size_t begin = end - std::min(height, end);
  return {all.begin() + static_cast<std::ptrdiff_t>(begin),
          all.begin() + static_cast<std::ptrdiff_t>(end)};
}

}  // namespace godwit::cli
