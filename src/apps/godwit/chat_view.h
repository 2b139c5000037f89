// ChatView: the full screen of `godwit chat`, drawn with ncurses. A Screen of the front-end: what
// the command says goes into a ChatModel, what the person types becomes its wishes.
//
// The screen is taken when the chat begins and given back by close(), also after an error.
#pragma once

#include "apps/godwit/chat_model.h"
#include "apps/godwit/front_end.h"
#include "apps/godwit/line_editor.h"

namespace godwit::cli {

class ChatView final : public Screen {
 public:
  ~ChatView() override { close(); }

  bool out(std::string_view octets) override;
  void err(std::string_view octets) override;
  int input_fd() const override { return 0; }
  bool read(std::string& input) override;
  bool eager() const override { return open_; }
  void on_resize() override;
  void refresh() override;
  std::string wishes() override { return std::exchange(wishes_, {}); }

  // Gives the terminal back and prints what went to stderr meanwhile.
  void close();

 private:
  void open();
  // False: the person leaves.
  bool on_key(bool special, char32_t key);
  bool on_special(char32_t key);
  bool on_control(char32_t key);
  bool on_escape();
  void on_mouse();
  void enter();
  void complete();
  // After each key: who composes is told, and messages are numbered for a command.
  void on_typed();
  std::string last_wishes();
  void scroll_by(int lines);
  void wish(const Json& object) { wishes_ += json_line(object); }
  void draw_title(int width);
  void draw_line(int row, const ChatLine& line);
  void draw_lines(int top, int width, int height);
  void draw_input(int row, int width);

  ChatModel model_;
  LineEditor editor_;
  std::string pending_;  // a line of the command that is not whole yet
  std::string errors_;
  std::string wishes_;
  std::size_t scroll_ = 0;   // lines above the newest
  std::size_t below_ = 0;    // messages that came while scrolled up
  bool leaves_ = false;  // the person said so in words
  Instant told_typing_;  // when the other side was told last; 0: it is told nothing now
  bool asked_older_ = false;
  bool open_ = false;
  bool dirty_ = false;
};

}  // namespace godwit::cli
