#include "apps/godwit/chat_model.h"

#include <gtest/gtest.h>

#include <clocale>

#include "apps/godwit/line_editor.h"

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
