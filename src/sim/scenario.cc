#include "sim/scenario.h"

#include <algorithm>
#include <charconv>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include "base/limits.h"

namespace godwit::sim {

namespace {

struct Word {
  std::string text;
  bool quoted = false;
};

// One line, read word by word. The first thing that does not fit is the error; what follows it is
// ignored.
class Line {
 public:
  explicit Line(std::string_view line) { split(line); }

  bool empty() const { return words_.empty() && error_.empty(); }
  bool at_end() const { return at_ == words_.size(); }
  bool next_is(std::string_view word) const {
    return !at_end() && !words_[at_].quoted && words_[at_].text == word;
  }
  bool take(std::string_view word) {
    if (!next_is(word)) return false;
    ++at_;
    return true;
  }
  std::string peek() const { return at_end() || words_[at_].quoted ? "" : words_[at_].text; }
  std::string word(std::string_view what) {
    if (at_end() || words_[at_].quoted) return expected(what), std::string();
    return words_[at_++].text;
  }
  std::string word_of(std::initializer_list<std::string_view> choice, std::string_view what) {
    if (at_end() || std::ranges::find(choice, words_[at_].text) == choice.end()) {
      return expected(what), std::string();
    }
    return words_[at_++].text;
  }
  std::uint64_t number(std::string_view what, std::uint64_t most) {
    const std::string digits = at_end() ? std::string() : words_[at_].text;
    std::uint64_t value = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    const bool whole = error == std::errc() && end == digits.data() + digits.size();
    if (!whole || digits.empty() || value > most) return expected(what), 0;
    ++at_;
    return value;
  }
  // All of these words, or none.
  bool take_all(std::initializer_list<std::string_view> words) {
    const std::size_t begin = at_;
    for (const std::string_view word : words) {
      if (take(word)) continue;
      at_ = begin;
      return false;
    }
    return true;
  }
  // The word that was taken last.
  std::string before() const { return at_ == 0 ? std::string() : words_[at_ - 1].text; }
  bool has_text() const { return !at_end() && (words_[at_].quoted || next_is("bytes")); }
  std::string text() {
    if (take("bytes")) return text_of_size(number("a size of at most 65537", limits::kMaxText + 1));
    if (!has_text()) return expected("a \"text\" or bytes N"), std::string();
    return words_[at_++].text;
  }
  void expected(std::string_view what) {
    if (!error_.empty()) return;
    error_ = "expected " + std::string(what);
    if (at_end()) error_ += ", but the line ends";
    else error_ += ", not '" + words_[at_].text + "'";
  }
  const std::string& error() const { return error_; }

 private:
  void split(std::string_view line) {
    std::size_t at = 0;
    while (at < line.size() && error_.empty()) {
      if (line[at] == ' ' || line[at] == '\t' || line[at] == '\r') {
        ++at;
      } else if (line[at] == '#') {
        return;
      } else if (line[at] == '"') {
        const std::size_t end = line.find('"', at + 1);
        if (end == std::string_view::npos) error_ = "expected a closing quotation mark";
        else words_.push_back({std::string(line.substr(at + 1, end - at - 1)), true});
        at = end == std::string_view::npos ? line.size() : end + 1;
      } else {
        const std::size_t end = std::min(line.find_first_of(" \t\r\"#", at), line.size());
        words_.push_back({std::string(line.substr(at, end - at)), false});
        at = end;
      }
    }
  }

  std::vector<Word> words_;
  std::size_t at_ = 0;
  std::string error_;
};

constexpr std::pair<std::string_view, Verb> kActs[] = {
    {"offline", Verb::kOffline}, {"online", Verb::kOnline},       {"kill", Verb::kKill},
    {"restart", Verb::kRestart}, {"reinstall", Verb::kReinstall}, {"reads", Verb::kReads},
};

// Who exists; and what a line means.
class Parser {
 public:
  std::optional<Step> step(Line& line) {
    Step step;
    if (line.take("group")) {
      group(line, step);
    } else if (line.take("user") || line.next_is("stranger")) {
      step.verb = line.take("stranger") ? Verb::kStranger : Verb::kUser;
      if (people_.contains(line.peek())) line.expected("a name that is not taken");
      step.who = line.word("a name");
      people_.insert(step.who);
    } else if (line.take("disk")) {
      step.verb = line.word_of({"full", "ok"}, "'full' or 'ok'") == "full" ? Verb::kDiskFull
                                                                           : Verb::kDiskOk;
    } else if (line.take("wait")) {
      wait(line, step);
    } else if (line.take("expect")) {
      expect(line, step);
    } else if (line.take("server")) {
      step.who = "server";
      step.verb = line.word_of({"restart", "kill"}, "'restart' or 'kill'") == "kill"
                      ? Verb::kKill
                      : Verb::kRestart;
    } else {
      act(line, step);
    }
    if (!line.at_end()) line.expected("the end of the line");
    if (!line.error().empty()) return std::nullopt;
    return step;
  }

 private:
  std::string person(Line& line) {
    if (!people_.contains(line.peek())) {
      line.expected("somebody introduced by 'user' or 'stranger'");
    }
    return line.word("the name of a person");
  }

  void wait(Line& line, Step& step) {
    step.verb = Verb::kWait;
    const auto count = static_cast<std::int64_t>(line.number("a number", 1000));
    const std::string unit =
        line.word_of({"second", "seconds", "minute", "minutes", "hour", "hours", "day", "days"},
                     "seconds, minutes, hours or days");
    if (unit.starts_with("second")) step.duration = seconds(count);
    if (unit.starts_with("minute")) step.duration = minutes(count);
    if (unit.starts_with("hour")) step.duration = hours(count);
    if (unit.starts_with("day")) step.duration = days(count);
  }

  void group(Line& line, Step& step) {
    step.verb = Verb::kGroup;
    if (people_.contains(line.peek())) line.expected("a name that is not taken");
    step.whom = line.word("a name");
    (void)line.word_of({"of"}, "'of', and who makes it, and the others");
    step.who = person(line);
    while (!line.at_end() && line.error().empty()) step.texts.push_back(person(line));
    people_.insert(step.whom);
  }

  void act(Line& line, Step& step) {
    step.who = person(line);
    if (line.take("->")) {
      step.verb = Verb::kSay;
      step.whom = person(line);
      with(line, step);
      step.texts.insert(step.texts.begin(), line.text());
      return;
    }
    if (change(line, step) || deed(line, step)) return;
    if (line.take("types")) {
      step.verb = Verb::kTypes;
      (void)line.word_of({"to"}, "'to'");
      step.whom = person(line);
      return;
    }
    if (line.take("broadcasts")) {
      step.verb = Verb::kBroadcast;
      step.texts.push_back(line.text());
      (void)line.word_of({"to"}, "'to', and to whom");
      while (!line.at_end() && line.error().empty()) step.texts.push_back(person(line));
      return;
    }
    for (const auto& [word, verb] : kActs) {
      if (!line.take(word)) continue;
      step.verb = verb;
      return;
    }
    line.expected("'->', or what somebody does: docs/simulation.md lists it");
  }

  // What goes with a message besides its text.
  void with(Line& line, Step& step) {
    static constexpr std::string_view kWith[] = {"once",    "answering", "mentioning",
                                                 "linking", "card",      "from"};
    if (std::ranges::find(kWith, line.peek()) == std::end(kWith)) return;
    step.word = line.word("");
    if (step.word == "once") return;
    const bool somebody = step.word == "mentioning" || step.word == "card";
    step.texts.push_back(somebody ? person(line) : line.text());
    if (step.word == "linking") step.texts.push_back(line.text());
  }

  // What people do with groups.
  bool change(Line& line, Step& step) {
    step.verb = Verb::kChange;
    for (const std::string_view verb :
         {"adds", "removes", "promotes", "demotes", "approves", "declines"}) {
      if (!line.take(verb)) continue;
      step.word = verb;
      step.texts.push_back(person(line));
      (void)line.word_of({"in"}, "'in', and a group");
      step.whom = person(line);
      return true;
    }
    for (const std::string_view verb : {"leaves", "joins", "links", "unlinks"}) {
      if (!line.take(verb)) continue;
      step.word = verb;
      step.whom = person(line);
      if (verb == "links" && line.take("for")) step.number = line.number("how many", 1000);
      if (verb == "links" && line.take("approved")) step.word = "links_approved";
      return true;
    }
    if (line.take_all({"lets", "admins"}) || line.take_all({"lets", "everybody"})) {
      step.word = line.before() == "admins" ? "closes" : "opens";
      (void)line.word_of({"write"}, "'write to', and a group");
      (void)line.word_of({"to"}, "'to', and a group");
      step.whom = person(line);
      return true;
    }
    return false;
  }

  // What people do with messages.
  bool deed(Line& line, Step& step) {
    for (const std::string_view verb : {"reacts", "edits", "votes", "deletes", "pins", "stars"}) {
      if (!line.take(verb)) continue;
      step.verb = Verb::kDo;
      step.word = verb;
      step.texts.push_back(line.text());
      const bool with = verb == "reacts" || verb == "edits" || verb == "votes";
      if (with) step.texts.push_back(line.text());
      return true;
    }
    if (line.take("forwards")) {
      step.verb = Verb::kDo;
      step.word = "forwards";
      step.texts.push_back(line.text());
      (void)line.word_of({"to"}, "'to'");
      step.whom = person(line);
    } else if (line.take("opens")) {
      step.verb = Verb::kDo;
      step.word = "opens";
      (void)line.word_of({"from"}, "'from', and who sent what can be opened once");
      step.whom = person(line);
    } else if (line.take("asks")) {
      step.verb = Verb::kAsk;
      step.whom = person(line);
      for (int i = 0; i < 3 || line.has_text(); ++i) step.texts.push_back(line.text());
    } else if (line.take("lets")) {
      step.whom = person(line);
      (void)line.word_of({"disappear"}, "'disappear'");
      wait(line, step);
      step.verb = Verb::kDisappear;
    } else {
      return false;
    }
    return true;
  }

  void finds(Line& line, Step& step) {
    step.verb = Verb::kExpectFinds;
    step.texts.push_back(line.text());
    step.word = line.word_of(
        {"edited", "pinned", "starred", "forwarded", "reaction", "answering", "votes", "read",
         "mentioning", "linking", "card", "from"},
        "what is so: edited, pinned, starred, forwarded, reaction, answering, mentioning, linking, "
        "card, from, votes or read");
    static constexpr std::string_view kWithText[] = {"reaction", "answering", "votes", "linking",
                                                     "from"};
    if (step.word == "mentioning" || step.word == "card") step.texts.push_back(person(line));
    if (std::ranges::find(kWithText, step.word) != std::end(kWithText)) {
      step.texts.push_back(line.text());
    }
    if (step.word == "votes") step.number = line.number("how many", 1000);
    if (step.word == "read") {
      (void)line.word_of({"by"}, "'by'");
      step.whom = person(line);
    }
  }

  void expect(Line& line, Step& step) {
    if (line.take("server")) {
      step.verb = Verb::kExpectStored;
      (void)line.word_of({"stores"}, "'stores'");
      step.number = line.number("a number", 1000000);
      (void)line.word_of({"envelope", "envelopes"}, "'envelopes'");
      return;
    }
    step.who = person(line);
    if (line.take("is")) {
      step.verb = Verb::kExpectGroup;
      std::swap(step.who, step.whom);
      (void)line.word_of({"of"}, "'of', and all who are in the group");
      while (!line.at_end() && line.error().empty()) step.texts.push_back(person(line));
    } else if (line.take("notices")) {
      step.verb = Verb::kExpectNotices;
      step.whom = person(line);
    } else if (line.take("shows")) {
      step.verb = Verb::kExpectShows;
      if (line.take("nothing")) {
        // no texts
      } else {
        do {
          step.texts.push_back(line.text());
        } while (line.has_text());
      }
      if (line.take("from")) step.whom = person(line);
    } else if (line.take("sees")) {
      step.verb = Verb::kExpectSees;
      step.texts.push_back(line.text());
      step.word = line.word_of({"queued", "sent", "delivered", "read"},
                               "'queued', 'sent', 'delivered' or 'read'");
    } else if (line.take("finds")) {
      finds(line, step);
    } else if (line.take("opened")) {
      step.verb = Verb::kExpectOpened;
      step.texts.push_back(line.text());
    } else if (line.take("has")) {
      step.verb = Verb::kExpectUnread;
      step.number = line.number("a number", 100000);
      (void)line.word_of({"unread"}, "'unread'");
      (void)line.word_of({"from"}, "'from'");
      step.whom = person(line);
    } else if (line.take("refused")) {
      step.verb = Verb::kExpectRefused;
      step.texts.push_back(line.text());
      step.word = line.word("a code, such as not_found");
    } else if (line.take("warned")) {
      step.verb = Verb::kExpectWarned;
      (void)line.word_of({"about"}, "'about'");
      step.whom = person(line);
    } else {
      line.expected("'shows', 'sees', 'finds', 'has', 'opened', 'refused' or 'warned'");
    }
  }

  std::set<std::string> people_;
};

std::string quoted(std::string_view text) {
  static constexpr char kHex[] = "0123456789abcdef";
  std::string out = "\"";
  for (const char c : text) {
    const auto octet = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (octet < 0x20) {
      out += std::string("\\u00") + kHex[octet >> 4] + kHex[octet & 15];
    } else {
      out += c;
    }
  }
  return out + '"';
}

std::string_view verb_name(Verb verb) {
  switch (verb) {
    case Verb::kUser: return "user";
    case Verb::kStranger: return "stranger";
    case Verb::kGroup: return "group";
    case Verb::kChange: return "change";
    case Verb::kExpectGroup: return "expect_group";
    case Verb::kBroadcast: return "broadcast";
    case Verb::kTypes: return "types";
    case Verb::kExpectNotices: return "expect_notices";
    case Verb::kSay: return "say";
    case Verb::kDo: return "do";
    case Verb::kAsk: return "ask";
    case Verb::kDisappear: return "disappear";
    case Verb::kOffline: return "offline";
    case Verb::kOnline: return "online";
    case Verb::kKill: return "kill";
    case Verb::kRestart: return "restart";
    case Verb::kReinstall: return "reinstall";
    case Verb::kReads: return "reads";
    case Verb::kDiskFull: return "disk_full";
    case Verb::kDiskOk: return "disk_ok";
    case Verb::kWait: return "wait";
    case Verb::kExpectShows: return "expect_shows";
    case Verb::kExpectSees: return "expect_sees";
    case Verb::kExpectFinds: return "expect_finds";
    case Verb::kExpectOpened: return "expect_opened";
    case Verb::kExpectUnread: return "expect_unread";
    case Verb::kExpectRefused: return "expect_refused";
    case Verb::kExpectWarned: return "expect_warned";
    case Verb::kExpectStored: return "expect_stored";
  }
  return "";
}

}  // namespace

std::string text_of_size(std::uint64_t octets) {
  std::string text;
  while (text.size() < octets) text += static_cast<char>('a' + text.size() % 26);
  return text;
}

std::expected<Scenario, std::string> parse_scenario(std::string_view name, std::string_view text) {
  Scenario scenario;
  Parser parser;
  std::uint32_t number = 0;
  const auto wrong = [&](const std::string& what) {
    return std::unexpected(std::string(name) + ':' + std::to_string(number) + ": " + what);
  };
  while (!text.empty()) {
    ++number;
    const std::string_view content = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(content.size() + 1, text.size()));
    if (number == 1) {
      if (!content.starts_with("# ")) return wrong("expected '# ' and the promise in one sentence");
      scenario.promise = content.substr(2);
    }
    if (content == "sim only") {
      scenario.sim_only = true;
      continue;
    }
    Line line(content);
    if (line.empty()) continue;
    auto step = parser.step(line);
    if (!step) return wrong(line.error());
    step->line = number;
    scenario.steps.push_back(std::move(*step));
  }
  if (number == 0) return wrong("expected '# ' and the promise in one sentence");
  return scenario;
}

std::string to_json_lines(const Scenario& scenario) {
  std::string out = "{\"promise\":" + quoted(scenario.promise) +
                    ",\"sim_only\":" + (scenario.sim_only ? "true" : "false") + "}\n";
  for (const Step& step : scenario.steps) {
    out += "{\"line\":" + std::to_string(step.line) + ",\"verb\":" + quoted(verb_name(step.verb)) +
           ",\"who\":" + quoted(step.who) + ",\"whom\":" + quoted(step.whom) + ",\"texts\":[";
    for (std::size_t i = 0; i < step.texts.size(); ++i) {
      if (i > 0) out += ',';
      out += quoted(step.texts[i]);
    }
    out += "],\"word\":" + quoted(step.word) + ",\"number\":" + std::to_string(step.number) +
           ",\"milliseconds\":" + std::to_string(step.duration.ms) + "}\n";
  }
  return out;
}

}  // namespace godwit::sim
