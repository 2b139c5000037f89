#include "apps/godwit/chat_model.h"

#include <gtest/gtest.h>

#include <clocale>

#include "apps/godwit/line_editor.h"
#include "apps/godwit/slash.h"

namespace godwit::cli {
namespace {

std::string joined(const std::vector<std::u32string>& lines) {
  std::string out;
  for (const auto& line : lines) out += to_utf8(line) + "|";
  return out;
}

class ChatModelTest : public testing::Test {
 protected:
  void SetUp() override { std::setlocale(LC_CTYPE, "C.UTF-8"); }
  void message(const char* id, const char* direction, const std::string& text, bool old = false) {
    Json object = {{"type", "message"},      {"id", id},
                   {"direction", direction}, {"timestamp_ms", 1700000000000},
                   {"status", "queued"},     {"text", text}};
    if (old) object["older"] = true;
    EXPECT_TRUE(model_.apply(json_line(object)));
  }
  std::string shown(std::size_t width, std::size_t height, std::size_t scroll = 0) {
    std::string out;
    for (const ChatLine& line : model_.lines(width, height, scroll)) {
      out += to_utf8(line.text) + "|";
    }
    return out;
  }
  ChatModel model_;
};

TEST_F(ChatModelTest, WrapsAtSpacesAndByColumns) {
  EXPECT_EQ(joined(wrap(U"one two three", 8)), "one two|three|");
  EXPECT_EQ(joined(wrap(U"abcdefghij", 4)), "abcd|efgh|ij|");
  EXPECT_EQ(joined(wrap(U"世界世界世", 5)), "世界|世界|世|") << "two columns each";
  EXPECT_EQ(joined(wrap(U"a\nb", 9)), "a|b|");
  EXPECT_EQ(joined(wrap(U"", 9)), "|");
}

TEST_F(ChatModelTest, ShowsOlderMessagesAboveAndScrolls) {
  message("b", "in", "second");
  message("a", "in", "first", true);
  message("c", "out", "third");
  EXPECT_EQ(shown(80, 10), "──  Tuesday 14 November 2023  ──|first|second|third|");
  EXPECT_EQ(shown(80, 2), "second|third|");
  EXPECT_EQ(shown(80, 2, 1), "first|second|");
}

TEST_F(ChatModelTest, TicksOnlyMoveForward) {
  message("x", "out", "hello");
  const auto stamp = [&] { return to_utf8(model_.lines(80, 5, 0).back().stamp); };
  EXPECT_TRUE(stamp().ends_with("·"));
  model_.apply(R"({"type":"status","id":"x","status":"read"})");
  model_.apply(R"({"type":"status","id":"x","status":"sent"})");
  EXPECT_TRUE(stamp().ends_with("✓✓"));
  EXPECT_TRUE(model_.lines(80, 5, 0).back().read);
}

TEST_F(ChatModelTest, AStatusMayComeBeforeItsMessage) {
  model_.apply(R"({"type":"status","id":"x","status":"delivered"})");
  message("x", "out", "hello");
  EXPECT_TRUE(to_utf8(model_.lines(80, 5, 0).back().stamp).ends_with("✓✓"));
}

TEST_F(ChatModelTest, ForeignTextCannotSteerTheTerminal) {
  message("x", "in", "\x1b[2Jhi");
  EXPECT_EQ(shown(80, 1), "␛[2Jhi|");
}

TEST_F(ChatModelTest, EveryLineFitsAnyWidth) {
  message("a", "in", std::string(300, 'x') + " 世界 " + std::string(50, 'y'));
  message("b", "out", "short");
  message("c", "out", std::string(77, 'z'));
  for (std::size_t width = 24; width < 200; ++width) {
    for (const ChatLine& line : model_.lines(width, 100, 0)) {
      if (line.kind == ChatLine::Kind::kDay) continue;
      EXPECT_LE(line.indent + columns_of(line.text) + columns_of(line.stamp), width) << width;
    }
  }
}

TEST_F(ChatModelTest, SendersAreNamedOncePerRunInAGroup) {
  model_.apply(R"({"type":"chat","with":"Birds","me":"+1","group":"group:ab",
                   "members":[{"number":"+1","admin":true},{"number":"+2","admin":false}]})");
  const auto say = [&](const char* id, const char* from, const char* text) {
    model_.apply(json_line({{"type", "message"},
                            {"id", id},
                            {"direction", "in"},
                            {"from", from},
                            {"timestamp_ms", 1700000000000},
                            {"text", text}}));
  };
  say("a", "+2", "one");
  say("b", "+2", "two");
  say("c", "+3", "three");
  message("d", "out", "mine");
  EXPECT_EQ(shown(80, 10), "──  Tuesday 14 November 2023  ──|+2|one|two|+3|three|mine|");
  EXPECT_EQ(model_.members(), (std::vector<std::string>{"you*", "+2"}));
  EXPECT_EQ(model_.people(8), "you*, +2");
  EXPECT_EQ(model_.people(7), "") << "and no half of a number";
  EXPECT_EQ(model_.closed(), "");
}

TEST_F(ChatModelTest, SaysWhereNothingCanBeSent) {
  const auto chat = [&](const char* rest) {
    model_.apply(R"({"type":"chat","with":"Birds","me":"+1","group":"group:ab",)" +
                 std::string(rest) + "}");
    return model_.closed();
  };
  EXPECT_EQ(chat(R"("member":false,"members":[])"),
            "You are not in this group: nothing newer comes");
  EXPECT_EQ(chat(R"("member":true,"announcements":true,"members":[{"number":"+1"}])"),
            "Only admins send here");
  EXPECT_EQ(chat(R"("member":true,"announcements":true,
                    "members":[{"number":"+1","admin":true}])"),
            "");
}

TEST_F(ChatModelTest, TellsWhatHappenedInTheGroupAndToForwards) {
  model_.apply(R"({"type":"news","chat":"group:ab","text":"+2 left\u001b"})");
  model_.apply(R"({"type":"forwarded","id":"aa","to":["+2","Bird Watchers"]})");
  const std::string all = shown(80, 9);
  EXPECT_TRUE(all.ends_with("· +2 left␛|↪ forwarded to +2, Bird Watchers|")) << all;
  model_.clear_answers();
  EXPECT_TRUE(shown(80, 9).ends_with("· +2 left␛|")) << "news stay";
}

TEST_F(ChatModelTest, ShowsWhatGoesWithAMessageAndWhatWasDoneToIt) {
  model_.apply(R"({"type":"chat","with":"+2","me":"+1"})");
  model_.apply(R"({"type":"message","id":"a","direction":"in","timestamp_ms":1700000000000,
    "text":"Where?","forwards":1,"reply_to":{"id":"z","text":"first\nsecond"},
    "poll":{"multiple":false,"options":[{"text":"sea","votes":["+1"]},{"text":"hills","votes":[]}]},
    "reactions":[{"from":"+1","emoji":"👍"},{"from":"+2","emoji":"👍"}]})");
  EXPECT_EQ(shown(80, 9),
            "──  Tuesday 14 November 2023  ──|↪ forwarded|▏first …|Where?|"
            "◉ 1  sea  1: you|○ 2  hills  |👍 2|");
  model_.apply(R"({"type":"message","id":"a","direction":"in","timestamp_ms":1700000000000,
                   "text":"","deleted":true,"changed":true})");
  EXPECT_EQ(shown(80, 9), "──  Tuesday 14 November 2023  ──|this message was deleted|");
  model_.apply(R"({"type":"erased","id":"a"})");
  EXPECT_EQ(shown(80, 9), "");
}

TEST_F(ChatModelTest, AChangeOfWhatIsNotShownAddsNothing) {
  model_.apply(R"({"type":"message","id":"a","direction":"in","text":"x","changed":true})");
  EXPECT_EQ(shown(80, 9), "");
}

TEST_F(ChatModelTest, NumbersStayWhenMessagesCome) {
  message("a", "in", "first");
  message("b", "in", "second");
  model_.number();
  message("c", "in", "third");
  EXPECT_EQ(model_.numbered(1)->id, "b");
  EXPECT_EQ(model_.numbered(2)->id, "a");
  EXPECT_FALSE(model_.numbered(3));
  EXPECT_FALSE(model_.numbered(0));
  const auto lines = model_.lines(80, 9, 0);
  EXPECT_EQ(to_utf8(lines[1].label + U"," + lines[2].label + U"," + lines[3].label), "2,1,");
  model_.unnumber();
  EXPECT_FALSE(model_.numbered(1));
}

TEST_F(ChatModelTest, TypingAndUnreadAreSaid) {
  model_.apply(R"({"type":"chat","with":"Birds","me":"+1","group":"group:ab","members":[]})");
  model_.apply(R"({"type":"typing","from":["+2"]})");
  EXPECT_EQ(model_.typing(), "+2 is typing…");
  model_.apply(R"({"type":"typing","from":[]})");
  EXPECT_EQ(model_.typing(), "");
  model_.apply(R"({"type":"unread","messages":3,"chats":1,"mentions":1})");
  EXPECT_EQ(model_.unread_elsewhere(), "✉ 3 @ in 1 other chat");
}

// ---- slash.h

class SlashTest : public ChatModelTest {
 protected:
  void SetUp() override {
    ChatModelTest::SetUp();
    message("aa", "in", "theirs");
    message("bb", "out", "mine");
    model_.apply(R"({"type":"message","id":"cc","direction":"in","text":"?",
                     "poll":{"options":[{"text":"x","votes":[]},{"text":"y","votes":[]}]}})");
    message("dd", "in", "last");
    model_.number();
  }
  std::string wish(std::string_view line) {
    const Slash slash = read_slash(line, model_);
    return slash.wishes.empty() ? "! " + slash.problem : slash.wishes.front().dump();
  }
};

TEST_F(SlashTest, NumbersAndDefaultsNameMessages) {
  EXPECT_EQ(wish("/reply yes, 2 of us"), R"({"send":"yes, 2 of us","reply":"dd"})");
  EXPECT_EQ(wish("/reply 4 yes"), R"({"send":"yes","reply":"aa"})");
  EXPECT_EQ(wish("/reply 4"), R"({"send":"4","reply":"dd"})") << "what follows, not a message";
  EXPECT_EQ(wish("/react heart"), R"({"react":"dd","emoji":"❤"})");
  EXPECT_EQ(wish("/react 3 👍"), R"({"react":"bb","emoji":"👍"})");
  EXPECT_EQ(wish("/unreact 4"), R"({"react":"aa","emoji":""})");
  EXPECT_EQ(wish("/edit better"), R"({"edit":"bb","text":"better"})");
  EXPECT_EQ(wish("/delete"), R"({"delete":"bb","for_me":false})");
  EXPECT_EQ(wish("/delete 1 me"), R"({"delete":"dd","for_me":true})");
  EXPECT_EQ(wish("/vote 2"), R"({"vote":"cc","options":[2]})");
  EXPECT_EQ(wish("/vote 2 1,2"), R"({"vote":"cc","options":[1,2]})");
  EXPECT_EQ(wish("/unpin 2"), R"({"pin":"cc","on":false})");
  EXPECT_EQ(wish("/poll Where to? | sea | hills"),
            R"({"poll":"Where to?","options":["sea","hills"]})");
  EXPECT_EQ(wish("/forward 1 +33612345678 Birds"),
            R"({"forward":"dd","to":["+33612345678","Birds"]})");
  EXPECT_EQ(wish("/forward \"Bird Watchers\" 'x y' Bob's “a b” \"open"),
            R"({"forward":"dd","to":["Bird Watchers","x y","Bob's","a b","\"open"]})");
  EXPECT_EQ(wish("/disappear 24h"), R"({"disappear":"24h"})");
}

TEST_F(SlashTest, MistakesSayWhatToWrite) {
  EXPECT_EQ(wish("/reply 9 hello"), "! no message has this number here");
  EXPECT_EQ(wish("/vote one"), "! write it as /vote [N] 1, or 1,2 where several may be chosen");
  EXPECT_EQ(wish("/poll Where?"), "! write it as /poll Where? | sea | hills");
  EXPECT_EQ(wish("/open"), "! there is no message for that");
  EXPECT_EQ(wish("/dance"), "! there is no /dance; /help lists what there is");
  EXPECT_EQ(wish("/"), "! there is no /; /help lists what there is");
  EXPECT_TRUE(read_slash("/quit", model_).leave);
}

TEST_F(SlashTest, HelpNamesEveryCommandAndFitsATerminal) {
  const std::string help = read_slash("/help", model_).note;
  std::size_t lines = 1, width = 0;
  for (const char c : help) {
    width = c == '\n' ? 0 : width + ((c & 0xC0) != 0x80 ? 1 : 0);
    lines += c == '\n' ? 1 : 0;
    EXPECT_LE(width, 76u);
  }
  EXPECT_LE(lines, 16u);
  for (const char* name : {"reply", "react", "edit", "delete", "poll", "vote", "open", "forward",
                           "pin", "star", "info", "search", "disappear", "who", "quit"}) {
    EXPECT_NE(help.find(std::string("/") + name), std::string::npos) << name;
  }
}

TEST_F(SlashTest, TabCompletes) {
  EXPECT_EQ(complete_slash("/dis"), "/disappear ");
  EXPECT_EQ(complete_slash("/re"), "/re");
  EXPECT_EQ(complete_slash("/rep"), "/reply ");
  EXPECT_EQ(complete_slash("/uns"), "/unstar ");
  EXPECT_EQ(complete_slash("/x"), "/x");
}

TEST_F(ChatModelTest, NonsenseIsRefused) {
  EXPECT_FALSE(model_.apply("not json"));
  EXPECT_FALSE(model_.apply("[1]"));
  EXPECT_TRUE(model_.apply(R"({"type":"message","text":7,"timestamp_ms":"x"})"));
}

TEST(LineEditorTest, EditsUnderTheCursor) {
  LineEditor editor;
  for (const char32_t c : std::u32string_view(U"helo wörld")) editor.insert(c);
  for (int i = 0; i < 7; ++i) editor.left();
  editor.insert(U'l');
  EXPECT_EQ(to_utf8(editor.text()), "hello wörld");
  editor.end();
  editor.erase_word();
  EXPECT_EQ(to_utf8(editor.text()), "hello ");
  editor.home();
  editor.erase();
  editor.erase_to_end();
  EXPECT_EQ(to_utf8(editor.text()), "");
  editor.backspace();
  editor.left();
  EXPECT_EQ(editor.cursor(), 0U);
}

TEST(LineEditorTest, RemembersLinesAndTheDraft) {
  LineEditor editor;
  editor.set(U"one");
  editor.take();
  editor.set(U"two");
  editor.take();
  editor.set(U"draft");
  editor.older();
  editor.older();
  editor.older();
  EXPECT_EQ(editor.text(), U"one");
  editor.newer();
  EXPECT_EQ(editor.text(), U"two");
  editor.newer();
  editor.newer();
  EXPECT_EQ(editor.text(), U"draft");
}

TEST(LineEditorTest, Utf8GoesBothWays) {
  const std::string text = "aé世👩‍🚀";
  EXPECT_EQ(to_utf8(from_utf8(text)), text);
  EXPECT_EQ(from_utf8("\xFF"), U"\xFFFD");
}

}  // namespace
}  // namespace godwit::cli
