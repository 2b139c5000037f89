#include "apps/godwit/chat_model.h"

#include <algorithm>
#include <chrono>
#include <cwchar>

#include "apps/godwit/line_editor.h"

namespace godwit::cli {
namespace {

constexpr std::size_t kEarly = 1000;  // statuses kept for messages that may still be told
constexpr std::size_t kNamed = 20;  // members whom a note about a message names

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

std::int64_t number_at(const Json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_number_integer() ? found->get<std::int64_t>() : 0;
}

const Json& list_at(const Json& object, const char* key) {
  static const Json kNone = Json::array();
  const auto found = object.find(key);
  return found != object.end() && found->is_array() ? *found : kNone;
}

const Json& object_at(const Json& object, const char* key) {
  static const Json kNone = Json::object();
  const auto found = object.find(key);
  return found != object.end() && found->is_object() ? *found : kNone;
}

std::string shown_at(const Json& object, const char* key) {
  return printable(text_at(object, key));
}

// "user:59c9e79192fd…": somebody whose number is not known.
std::string name_at(const Json& object, const char* key) {
  std::string name = shown_at(object, key);
  if (name.starts_with("user:") && name.size() > 13) name = name.substr(0, 13) + "…";
  return name;
}

// One line of a text that may have many.
std::string first_line(const std::string& text) {
  const std::size_t end = text.find('\n');
  return end == std::string::npos ? text : text.substr(0, end) + " …";
}

std::string joined(const std::vector<std::string>& names) {
  std::string out;
  for (const std::string& name : names) out += (out.empty() ? "" : ", ") + name;
  return out;
}

void add_line(std::string& text, const std::string& line) {
  text += (text.empty() ? "" : "\n") + line;
}

// "👍 2  ❤ 1"
std::string reactions_of(const Json& object) {
  std::vector<std::pair<std::string, std::size_t>> counts;  // in the order of the first of each
  for (const Json& each : list_at(object, "reactions")) {
    const std::string emoji = shown_at(each, "emoji");
    const auto known = std::ranges::find(counts, emoji, [](const auto& c) { return c.first; });
    if (known == counts.end()) counts.emplace_back(emoji, 1);
    else ++known->second;
  }
  std::string out;
  for (const auto& [emoji, count] : counts) {
    out += (out.empty() ? "" : "  ") + emoji + (count > 1 ? " " + std::to_string(count) : "");
  }
  return out;
}

std::string poll_of(const Json& poll, const std::string& me) {
  std::string out;
  std::size_t number = 0;
  for (const Json& option : list_at(poll, "options")) {
    std::vector<std::string> voters;
    bool mine = false;
    for (const Json& vote : list_at(option, "votes")) {
      if (!vote.is_string()) continue;
      const std::string voter = printable(vote.get<std::string>());
      mine = mine || voter == me;
      voters.push_back(voter == me ? "you" : voter);
    }
    add_line(out,
             std::string(mine ? "◉ " : "○ ") + std::to_string(++number) + "  " +
                 shown_at(option, "text") + "  " +
                 (voters.empty() ? "" : std::to_string(voters.size()) + ": " + joined(voters)));
  }
  return out;
}

// What goes with a message, below its text.
std::string tail_of(const Json& object, const std::string& me) {
  std::string out;
  if (const Json& preview = object_at(object, "preview"); !preview.empty()) {
    for (const char* key : {"title", "description", "url"}) {
      if (const std::string line = shown_at(preview, key); !line.empty()) add_line(out, "▏" + line);
    }
  }
  if (object.contains("poll")) add_line(out, poll_of(object_at(object, "poll"), me));
  if (const Json& card = object_at(object, "contact"); !card.empty()) {
    add_line(out, "☎ " + shown_at(card, "name") + "  " + shown_at(card, "phone"));
  }
  if (const Json& place = object_at(object, "location"); !place.empty()) {
    const auto degrees = [&](const char* key) {
      const auto found = place.find(key);
      return found != place.end() && found->is_number() ? found->dump() : std::string("?");
    };
    add_line(out, "⌖ " + degrees("latitude") + ", " + degrees("longitude") + "  " +
                      shown_at(place, "name"));
  }
  return out;
}

std::string head_of(const Json& object) {
  std::string out;
  const std::int64_t forwards = number_at(object, "forwards");
  if (forwards >= limits::kManyForwards) out = "↪ forwarded many times";
  else if (forwards > 0) out = "↪ forwarded";
  if (const Json& quote = object_at(object, "reply_to"); !quote.empty()) {
    const std::string text = first_line(printable(text_at(quote, "text"), true));
    add_line(out, "▏" + (text.empty() ? "a message" : text));
  }
  return out;
}

// What stands for the text of a message that shows none.
std::string stand_in(const Json& object) {
  if (flag_at(object, "deleted")) return "this message was deleted";
  if (flag_at(object, "view_once")) {
    return flag_at(object, "opened") ? "① view once, opened" : "① view once";
  }
  if (object.contains("sets_lifetime_s")) {
    const std::int64_t seconds = number_at(object, "sets_lifetime_s");
    return seconds == 0 ? "⏱ messages do not disappear any more"
                        : "⏱ messages disappear after " + lifetime_text({seconds * 1000});
  }
  return {};
}

std::string flags_of(const Json& object) {
  std::string out;
  if (flag_at(object, "edited")) out += "  edited";
  if (flag_at(object, "starred")) out += "  ★";
  if (object.contains("lifetime_s")) out += "  ⏱";
  return out;
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
    settle(object);
  } else if (type == "message" && !flag_at(object, "found")) {
    add(object);
  } else if (type == "status") {
    change(object);
  } else if (type == "erased") {
    const std::size_t at = find(text_at(object, "id"));
    if (at < messages_.size()) messages_.erase(messages_.begin() + static_cast<std::ptrdiff_t>(at));
  } else if (type == "page") {
    more_ = flag_at(object, "more");
  } else if (type == "typing") {
    typing_.clear();
    for (const Json& each : list_at(object, "from")) {
      if (each.is_string()) typing_.push_back(printable(each.get<std::string>()));
    }
  } else if (type == "unread") {
    elsewhere_ = static_cast<std::size_t>(std::max<std::int64_t>(number_at(object, "messages"), 0));
    chats_elsewhere_ =
        static_cast<std::size_t>(std::max<std::int64_t>(number_at(object, "chats"), 0));
    mentions_elsewhere_ =
        static_cast<std::size_t>(std::max<std::int64_t>(number_at(object, "mentions"), 0));
  } else if (type == "connection") {
    online_ = flag_at(object, "online");
    reason_ = shown_at(object, "reason");
  } else if (type == "identity") {
    verified_ = false;
    note(
        "The keys of this contact changed: a new phone, or somebody in between. "
        "Compare the safety number: godwit verify " +
            with_,
        Note::kNews);
  } else if (type == "error") {
    problem_ = shown_at(object, "text");
    text_back_ = text_at(object, "text_back");
  } else {
    inform(object);
  }
  return true;
}

// Answers to what the person asked for: they are shown as notes.
void ChatModel::inform(const Json& object) {
  const std::string type = text_at(object, "type");
  const auto time = [&](const Json& of, const char* key) {
    const std::int64_t ms = number_at(of, key);
    return ms == 0 ? std::string("-") : short_time({ms}, wall_clock());
  };
  if (type == "message") {
    note("⌕ " + time(object, "timestamp_ms") + "  " +
         first_line(printable(text_at(object, "text"), true)));
  } else if (type == "found") {
    if (number_at(object, "count") == 0) note("⌕ nothing found");
  } else if (type == "opened") {
    note("① " + printable(text_at(object, "text"), true) +
         "\nIt is gone now: nobody sees it here again.");
  } else if (type == "news") {
    note("· " + shown_at(object, "text"), Note::kNews);
  } else if (type == "refused") {
    note("! " + shown_at(object, "reason"), Note::kNews);
  } else if (type == "forwarded") {
    std::vector<std::string> to;
    for (const Json& each : list_at(object, "to")) {
      if (each.is_string()) to.push_back(printable(each.get<std::string>()));
    }
    note("↪ forwarded to " + joined(to));
  } else if (type == "info") {
    std::string text = "composed " + time(object, "composed_ms");
    const Json& members = list_at(object, "members");
    if (members.size() > kNamed) {
      const auto count = [&](const char* key) {
        std::size_t those = 0;
        for (const Json& member : members) those += number_at(member, key) != 0 ? 1 : 0;
        return grouped(those);
      };
      return note(text + "\ndelivered to " + count("delivered_ms") + " of " +
                  grouped(members.size()) + ", read by " + count("read_ms") + ": godwit info " +
                  text_at(object, "id").substr(0, 8) + " names them");
    }
    for (const Json& member : members) {
      text += "\n" + name_at(member, "phone") + "  delivered " + time(member, "delivered_ms") +
              "  read " + time(member, "read_ms");
    }
    note(text);
  }
}

void ChatModel::settle(const Json& object) {
  with_ = shown_at(object, "with");
  me_ = shown_at(object, "me");
  verified_ = flag_at(object, "verified");
  group_ = object.contains("group");
  members_.clear();
  bool admin = false;
  for (const Json& member : list_at(object, "members")) {
    const std::string number = name_at(member, "number");
    admin = admin || (number == me_ && flag_at(member, "admin"));
    members_.push_back((number == me_ ? "you" : number) + (flag_at(member, "admin") ? "*" : ""));
  }
  closed_.clear();
  if (group_ && object.contains("member") && !flag_at(object, "member")) {
    closed_ = "You are not in this group: nothing newer comes";
  } else if (flag_at(object, "announcements") && !admin) {
    closed_ = "Only admins send here";
  }
  const std::int64_t seconds = number_at(object, "lifetime_s");
  lifetime_ = seconds > 0 ? lifetime_text({seconds * 1000}) : std::string();
  pinned_.clear();
  for (const Json& pin : list_at(object, "pins")) {
    pinned_ = first_line(printable(text_at(pin, "text"), true));
  }
  if (!std::exchange(started_, true)) text_back_ = text_at(object, "draft");
}

std::string ChatModel::people(std::size_t columns) const {
  std::string all = joined(members_);
  if (columns_of(from_utf8(all)) <= columns) return all;
  all = grouped(members_.size()) + " members";
  return columns_of(from_utf8(all)) <= columns ? all : std::string();
}

std::string ChatModel::typing() const {
  if (typing_.empty()) return {};
  if (!group_) return "typing…";
  return joined(typing_) + (typing_.size() == 1 ? " is typing…" : " are typing…");
}

std::string ChatModel::unread_elsewhere() const {
  if (elsewhere_ == 0 && mentions_elsewhere_ == 0) return {};
  return "✉ " + grouped(elsewhere_) + (mentions_elsewhere_ != 0 ? " @" : "") + " in " +
         grouped(chats_elsewhere_) + (chats_elsewhere_ == 1 ? " other chat" : " other chats");
}

ChatModel::Message ChatModel::read(const Json& object) const {
  Message message;
  message.id = text_at(object, "id");
  message.own = text_at(object, "direction") == "out";
  message.composed = {number_at(object, "timestamp_ms")};
  message.status = status_of(text_at(object, "status"));
  message.from = name_at(object, "from");
  message.failure = from_utf8(shown_at(object, "failure"));
  const std::string instead = stand_in(object);
  message.plain = from_utf8(text_at(object, "text"));
  message.text = from_utf8(instead.empty() ? printable(text_at(object, "text"), true) : instead);
  message.once = flag_at(object, "view_once") && !flag_at(object, "opened");
  if (flag_at(object, "deleted")) return message;
  message.poll = object.contains("poll");
  message.head = from_utf8(head_of(object));
  message.tail = from_utf8(tail_of(object, me_));
  message.reactions = from_utf8(reactions_of(object));
  message.flags = from_utf8(flags_of(object));
  for (const Json& each : list_at(object, "mentions")) {
    message.mentions = message.mentions || (each.is_string() && each.get<std::string>() == me_);
  }
  return message;
}

std::size_t ChatModel::find(std::string_view id) const {
  for (std::size_t i = messages_.size(); i-- > 0;) {
    if (messages_[i].id == id && !messages_[i].note) return i;
  }
  return messages_.size();
}

void ChatModel::add(const Json& object) {
  Message message = read(object);
  if (const std::size_t at = find(message.id); at < messages_.size() && !message.id.empty()) {
    message.status = std::max(message.status, messages_[at].status);
    messages_[at] = std::move(message);
    return;
  }
  if (flag_at(object, "changed")) return;  // older than what is shown
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
  const std::size_t at = find(id);
  if (at == messages_.size()) {
    if (early_.size() < kEarly) early_[id] = status;
    return;
  }
  messages_[at].status = std::max(messages_[at].status, status);
  messages_[at].failure = from_utf8(shown_at(object, "failure"));
}

void ChatModel::clear_answers() {
  std::erase_if(messages_, [](const Message& message) { return message.answer; });
}

void ChatModel::note(std::string_view text, Note kind) {
  Message message;
  message.note = true;
  message.answer = kind == Note::kAnswer;
  message.composed = wall_clock();
  message.text = from_utf8(text);
  messages_.push_back(std::move(message));
}

// ---- numbers

void ChatModel::number() {
  if (numbered_from_) return;
  numbered_from_ = std::string();
  for (const Message& message : messages_) {
    if (!message.note) numbered_from_ = message.id;
  }
}

std::optional<ChatModel::Named> ChatModel::numbered(std::size_t number) const {
  if (!numbered_from_ || number == 0) return std::nullopt;
  for (std::size_t i = std::min(find(*numbered_from_) + 1, messages_.size()); i-- > 0;) {
    const Message& message = messages_[i];
    if (message.note || --number != 0) continue;
    return Named{message.id, to_utf8(message.plain), message.own};
  }
  return std::nullopt;
}

std::optional<ChatModel::Named> ChatModel::newest(Which which) const {
  for (std::size_t i = messages_.size(); i-- > 0;) {
    const Message& message = messages_[i];
    const bool fits = which == Which::kAny || (which == Which::kOwn && message.own) ||
                      (which == Which::kTheirs && !message.own) ||
                      (which == Which::kPoll && message.poll) ||
                      (which == Which::kOnce && message.once && !message.own);
    if (!message.note && fits) return Named{message.id, to_utf8(message.plain), message.own};
  }
  return std::nullopt;
}

// ---- lines

// A message's lines while it is laid out.
struct ChatModel::Block {
  ChatLine::Kind kind;
  std::size_t most;  // columns
  std::vector<ChatLine> lines;
  std::size_t widest = 0;
  void add(ChatLine::Part part, const std::u32string& text) {
    if (text.empty() && part != ChatLine::Part::kText) return;
    for (std::u32string& line : wrap(text, most)) {
      widest = std::max(widest, columns_of(line));
      lines.push_back({.kind = kind, .part = part, .text = std::move(line)});
    }
  }
};

void ChatModel::lay_out(std::size_t at, std::size_t width, std::vector<ChatLine>& out) const {
  const Message& message = messages_[at];
  const std::size_t margin = numbered_from_ ? 4 : 0;  // for the numbers
  if (message.note) {
    for (std::u32string& text : wrap(message.text, width - 4)) {
      out.push_back({.kind = ChatLine::Kind::kNote, .indent = 2, .text = std::move(text)});
    }
    return;
  }
  std::string stamp = "  " + clock_time(message.composed);
  if (message.own) stamp += " " + std::string(tick(message.status));
  const std::u32string tail = message.flags + from_utf8(stamp);
  const std::size_t tail_columns = columns_of(tail);
  Block block{.kind = message.own ? ChatLine::Kind::kOwn : ChatLine::Kind::kTheirs,
              .most = std::max<std::size_t>(width * 3 / 4, tail_columns + 8) - margin,
              .lines = {}};
  const bool says_who = group_ && !message.own &&
                        (at == 0 || messages_[at - 1].note || messages_[at - 1].own ||
                         messages_[at - 1].from != message.from);
  if (says_who) block.add(ChatLine::Part::kSender, from_utf8(message.from));
  block.add(ChatLine::Part::kQuote, message.head);
  if (!message.text.empty() || message.tail.empty()) block.add(ChatLine::Part::kText, message.text);
  block.add(ChatLine::Part::kExtra, message.tail);
  std::vector<ChatLine>& lines = block.lines;
  const std::size_t last_part = static_cast<std::size_t>(lines.back().part);
  // The time may stand where the text may not.
  if (columns_of(lines.back().text) + tail_columns + 2 + margin > width) {
    lines.push_back({.kind = block.kind, .part = static_cast<ChatLine::Part>(last_part)});
  }
  block.widest = std::max(block.widest, columns_of(lines.back().text) + tail_columns);
  ChatLine& last = lines.back();
  const std::size_t gap = block.widest - columns_of(last.text) - tail_columns;
  last.stamp = std::u32string(message.own ? gap : 0, U' ') + tail;
  last.read = message.status == client::Status::kRead;
  block.add(ChatLine::Part::kExtra, message.reactions);
  const bool right = message.own && width > block.widest + 2 + margin;
  const bool failed = message.status == client::Status::kFailed;
  if (failed) block.add(ChatLine::Part::kText, message.failure);
  for (ChatLine& line : lines) {
    line.indent = right ? width - block.widest - 1 : 1 + margin;
    line.failed = failed;
    line.mentions = message.mentions;
    line.hue = std::hash<std::string>()(message.from);
    out.push_back(std::move(line));
  }
}

std::vector<ChatLine> ChatModel::lines(std::size_t width, std::size_t height,
                                       std::size_t scroll) const {
  const Instant now = wall_clock();
  std::vector<std::vector<ChatLine>> blocks;  // newest message first
  std::size_t have = 0, number = 0;
  const std::size_t first = numbered_from_ ? find(*numbered_from_) : messages_.size();
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
    const std::size_t begins = block.size();
    lay_out(i, width, block);
    if (i <= first && first < messages_.size() && !message.note) {
      block[begins].label = from_utf8(std::to_string(++number));
    }
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
