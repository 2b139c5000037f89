#include "apps/godwit/slash.h"

#include <algorithm>
#include <cctype>
#include <charconv>

namespace godwit::cli {
namespace {

using Which = ChatModel::Which;

constexpr std::string_view kHelp =
    "While you type a /, each message shows its number N; the newest is 1.\n"
    "Without one, the newest that fits is meant. Tab completes.\n"
    "/reply [N] TEXT       /react [N] 👍, +1, heart, laugh, wow, sad, party\n"
    "/edit [N] TEXT        /unreact [N]            /delete [N]\n"
    "/forward [N] TO…      /search WORDS           /delete [N] me: here only\n"
    "/poll Q | A | B       /vote [N] 1[,2]         /info [N]\n"
    "/pin [N]  /unpin [N]  /star [N]  /unstar [N]  /disappear 24h, or off\n"
    "/once TEXT: can be opened once, by /open [N]  /who  /quit\n"
    "Enter sends, Alt-Enter breaks the line, PgUp and PgDn scroll, Esc leaves.";

constexpr std::string_view kNames[] = {
    "delete", "disappear", "edit",  "forward", "help", "info",  "once",    "open",   "pin",  "poll",
    "quit",   "react",     "reply", "search",  "star", "unpin", "unreact", "unstar", "vote", "who"};

constexpr std::size_t kNamed = 60;  // members; the others are counted

// What is hard to type.
std::string emoji_of(std::string_view word) {
  static constexpr std::pair<std::string_view, std::string_view> kWords[] = {
      {"+1", "👍"},  {"-1", "👎"},  {"heart", "❤"},   {"laugh", "😂"},
      {"wow", "😮"}, {"sad", "😢"}, {"thanks", "🙏"}, {"party", "🎉"}};
  for (const auto& [name, emoji] : kWords) {
    if (name == word) return std::string(emoji);
  }
  return std::string(word);
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\n')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\n')) text.remove_suffix(1);
  return text;
}

// Takes the first word off.
std::string_view word_of(std::string_view& text) {
  text = trimmed(text);
  const std::string_view word = text.substr(0, text.find_first_of(" \n"));
  text = trimmed(text.substr(word.size()));
  return word;
}

// Takes the first word off, or what stands in quotation marks.
std::string name_of(std::string_view& text) {
  text = trimmed(text);
  for (const auto& [opens, closes] : {std::pair{"\"", "\""}, {"'", "'"}, {"“", "”"}}) {
    const std::string_view opening = opens, closing = closes;
    if (!text.starts_with(opening)) continue;
    const std::size_t end = text.find(closing, opening.size());
    if (end == std::string_view::npos) continue;
    std::string name(text.substr(opening.size(), end - opening.size()));
    text = trimmed(text.substr(end + closing.size()));
    return name;
  }
  return std::string(word_of(text));
}

std::optional<std::size_t> number_in(std::string_view word) {
  std::size_t number = 0;
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), number);
  if (error != std::errc() || end != word.data() + word.size()) return std::nullopt;
  return number;
}

std::vector<std::string> split(std::string_view text, char at) {
  std::vector<std::string> out;
  for (;;) {
    const std::size_t end = text.find(at);
    out.emplace_back(trimmed(text.substr(0, end)));
    if (end == std::string_view::npos) return out;
    text.remove_prefix(end + 1);
  }
}

class Reader {
 public:
  Reader(std::string_view rest, const ChatModel& model) : rest_(rest), model_(model) {}

  Slash read(std::string_view name);

 private:
  // The message that a number at the head of the rest names, or the newest that fits. Where a
  // number may be what follows, it names a message only if something comes after it.
  bool target(Which which, bool more_follows);
  void wish(Json object) { out_.wishes.push_back(std::move(object)); }
  void need(const char* usage) { out_.problem = std::string("write it as ") + usage; }
  void write(std::string_view name);
  void react(std::string_view name);
  void change(std::string_view name);
  void poll();
  void vote();
  void forward();
  void who();

  std::string_view rest_;
  const ChatModel& model_;
  ChatModel::Named named_;
  Slash out_;
};

bool Reader::target(Which which, bool more_follows) {
  std::string_view rest = rest_;
  const auto number = number_in(word_of(rest));
  const bool names = number && (!more_follows || !rest.empty());
  const auto found = names ? model_.numbered(*number) : model_.newest(which);
  if (names) rest_ = rest;
  if (found) named_ = *found;
  else out_.problem = names ? "no message has this number here" : "there is no message for that";
  return found.has_value();
}

void Reader::write(std::string_view name) {
  if (name == "once") {
    if (rest_.empty()) return need("/once TEXT");
    return wish({{"send", rest_}, {"view_once", true}});
  }
  if (!target(name == "edit" ? Which::kOwn : Which::kTheirs, true)) return;
  if (rest_.empty()) return need(name == "edit" ? "/edit [N] TEXT" : "/reply [N] TEXT");
  if (name == "edit") wish({{"edit", named_.id}, {"text", rest_}});
  else wish({{"send", rest_}, {"reply", named_.id}});
}

void Reader::react(std::string_view name) {
  const bool takes_back = name == "unreact";
  if (!target(Which::kTheirs, !takes_back)) return;
  if (rest_.empty() != takes_back) return need("/react [N] 👍, or /unreact [N]");
  wish({{"react", named_.id}, {"emoji", emoji_of(rest_)}});
}

// Commands of one message and nothing else.
void Reader::change(std::string_view name) {
  if (!target(name == "open"                       ? Which::kOnce
              : name == "delete" || name == "info" ? Which::kOwn
                                                   : Which::kAny,
              false)) {
    return;
  }
  if (name == "delete") {
    if (!rest_.empty() && rest_ != "me") return need("/delete [N], or /delete [N] me");
    return wish({{"delete", named_.id}, {"for_me", rest_ == "me"}});
  }
  if (!rest_.empty()) return need(("/" + std::string(name) + " [N]").c_str());
  const bool off = name.starts_with("un");
  const std::string verb(name.substr(off ? 2 : 0));
  wish({{verb, named_.id}, {"on", !off}});
}

void Reader::poll() {
  const std::vector<std::string> parts = split(rest_, '|');
  if (parts.size() < 3) return need("/poll Where? | sea | hills");
  wish({{"poll", parts.front()}, {"options", std::vector(parts.begin() + 1, parts.end())}});
}

void Reader::vote() {
  if (!target(Which::kPoll, true)) return;
  Json options = Json::array();
  for (const std::string& each : split(rest_, ',')) {
    const auto number = number_in(each);
    if (!number) return need("/vote [N] 1, or 1,2 where several may be chosen");
    options.push_back(*number);
  }
  wish({{"vote", named_.id}, {"options", std::move(options)}});
}

void Reader::forward() {
  if (!target(Which::kAny, true)) return;
  Json to = Json::array();
  while (!rest_.empty()) to.push_back(name_of(rest_));
  if (to.empty()) return need("/forward [N] +NUMBER… or groups: \"Bird Watchers\"");
  wish({{"forward", named_.id}, {"to", std::move(to)}});
}

void Reader::who() {
  std::size_t left = model_.members().size();
  for (const std::string& each : model_.members()) {
    if (model_.members().size() - left == kNamed) break;
    out_.note += (out_.note.empty() ? "" : "  ") + each;
    --left;
  }
  if (left != 0) out_.note += "  and " + grouped(left) + " more";
  if (model_.members().empty()) out_.note = "you and " + model_.with();
  else out_.note += "   (* admins)";
  if (!model_.lifetime().empty()) {
    out_.note += "\nmessages disappear after " + model_.lifetime();
  }
}

Slash Reader::read(std::string_view name) {
  const auto is = [&](std::initializer_list<std::string_view> names) {
    return std::ranges::find(names, name) != names.end();
  };
  if (is({"help", "?"})) out_.note = kHelp;
  else if (is({"quit", "q"})) out_.leave = true;
  else if (is({"who"})) who();
  else if (is({"reply", "edit", "once"})) write(name);
  else if (is({"react", "unreact"})) react(name);
  else if (is({"delete", "pin", "unpin", "star", "unstar", "open", "info"})) change(name);
  else if (is({"poll"})) poll();
  else if (is({"vote"})) vote();
  else if (is({"forward"})) forward();
  else if (is({"search"})) {
    if (rest_.empty()) need("/search WORDS");
    else wish({{"search", rest_}});
  } else if (is({"disappear"})) {
    if (rest_.empty()) need("/disappear 24h, 7d, 90d, or off");
    else wish({{"disappear", rest_}});
  } else {
    out_.problem = "there is no /" + std::string(name) + "; /help lists what there is";
  }
  return std::move(out_);
}

}  // namespace

Slash read_slash(std::string_view line, const ChatModel& model) {
  line.remove_prefix(1);
  const std::string_view name = word_of(line);
  return Reader(line, model).read(name);
}

std::string complete_slash(std::string_view begun) {
  std::string common;
  std::size_t fits = 0;
  for (const std::string_view name : kNames) {
    if (!name.starts_with(begun.substr(1))) continue;
    if (fits++ == 0) common = name;
    while (!name.starts_with(common)) common.pop_back();
  }
  if (fits == 0) return std::string(begun);
  return "/" + common + (fits == 1 ? " " : "");
}

}  // namespace godwit::cli
