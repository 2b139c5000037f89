#include "apps/godwit/line_editor.h"

#include <cstdint>

#include "apps/godwit/output.h"

namespace godwit::cli {

void LineEditor::insert(char32_t c) { text_.insert(cursor_++, 1, c); }

void LineEditor::backspace() {
  if (cursor_ > 0) text_.erase(--cursor_, 1);
}

void LineEditor::erase() {
  if (cursor_ < text_.size()) text_.erase(cursor_, 1);
}

void LineEditor::word_left() {
  while (cursor_ > 0 && text_[cursor_ - 1] == U' ') --cursor_;
  while (cursor_ > 0 && text_[cursor_ - 1] != U' ') --cursor_;
}

void LineEditor::word_right() {
  while (cursor_ < text_.size() && text_[cursor_] == U' ') ++cursor_;
  while (cursor_ < text_.size() && text_[cursor_] != U' ') ++cursor_;
}

void LineEditor::erase_word() {
  const std::size_t end = cursor_;
  word_left();
  text_.erase(cursor_, end - cursor_);
}

void LineEditor::erase_to_start() {
  text_.erase(0, cursor_);
  cursor_ = 0;
}

void LineEditor::erase_to_end() { text_.erase(cursor_); }

void LineEditor::older() {
  if (at_ == 0) return;
  if (at_ == past_.size()) draft_ = text_;
  set(past_[--at_]);
}

void LineEditor::newer() {
  if (at_ == past_.size()) return;
  ++at_;
  set(at_ == past_.size() ? draft_ : past_[at_]);
}

std::u32string LineEditor::take() {
  std::u32string taken = std::move(text_);
  set({});
  draft_.clear();
  if (!taken.empty() && (past_.empty() || past_.back() != taken)) past_.push_back(taken);
  if (past_.size() > kRemembered) past_.pop_front();
  at_ = past_.size();
  return taken;
}

void LineEditor::set(std::u32string text) {
  text_ = std::move(text);
  cursor_ = text_.size();
}

std::string to_utf8(std::u32string_view text) {
  std::string out;
  const auto put = [&](char32_t value) { out += static_cast<char>(value); };
  for (const char32_t c : text) {
    if (c < 0x80) {
      put(c);
    } else if (c < 0x800) {
      put(0xC0 | c >> 6);
      put(0x80 | (c & 0x3F));
    } else if (c < 0x10000) {
      put(0xE0 | c >> 12);
      put(0x80 | (c >> 6 & 0x3F));
      put(0x80 | (c & 0x3F));
    } else {
      put(0xF0 | c >> 18);
      put(0x80 | (c >> 12 & 0x3F));
      put(0x80 | (c >> 6 & 0x3F));
      put(0x80 | (c & 0x3F));
    }
  }
  return out;
}

std::u32string from_utf8(std::string_view text) {
  std::u32string out;
  while (!text.empty()) {
    char32_t c = 0;
    const std::size_t size = utf8_character(text, c);
    out += size == 0 ? U'\xFFFD' : c;
    text.remove_prefix(size == 0 ? 1 : size);
  }
  return out;
}

}  // namespace godwit::cli
