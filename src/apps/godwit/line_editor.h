// LineEditor: one line of text under a cursor, with the lines that were entered before.
// Code points are the unit; no screen is known here.
#pragma once

#include <deque>
#include <string>

namespace godwit::cli {

class LineEditor {
 public:
  void insert(char32_t c);
  void backspace();
  void erase();  // under the cursor
  void left() { cursor_ -= cursor_ > 0 ? 1 : 0; }
  void right() { cursor_ += cursor_ < text_.size() ? 1 : 0; }
  void word_left();
  void word_right();
  void home() { cursor_ = 0; }
  void end() { cursor_ = text_.size(); }
  void erase_word();      // before the cursor
  void erase_to_start();
  void erase_to_end();
  // Through the lines entered before; the one being written comes back at the end.
  void older();
  void newer();
  // The text, which is remembered; the editor is empty afterwards.
  std::u32string take();
  void set(std::u32string text);

  const std::u32string& text() const { return text_; }
  std::size_t cursor() const { return cursor_; }

  static constexpr std::size_t kRemembered = 200;

 private:
  std::u32string text_;
  std::size_t cursor_ = 0;
  std::deque<std::u32string> past_;  // oldest first
  std::size_t at_ = 0;               // in past_; past_.size(): the line being written
  std::u32string draft_;
};

std::string to_utf8(std::u32string_view text);
// Malformed octets become U+FFFD.
std::u32string from_utf8(std::string_view text);

}  // namespace godwit::cli
