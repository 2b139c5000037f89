// ChatModel: what a chat shows, as lines of text of a given width. Knows no screen.
//
// It is fed the JSON lines of chat_command.h. Foreign text is made harmless here (output.h), once,
// when it comes in.
#pragma once

#include <deque>
#include <map>
#include <string>
#include <vector>

#include "apps/godwit/output.h"

namespace godwit::cli {

// Columns that a text takes on a terminal.
std::size_t columns_of(std::u32string_view text);

// One line of the conversation's area.
struct ChatLine {
  enum class Kind : std::uint8_t { kDay, kTheirs, kOwn, kNote };
  Kind kind = Kind::kNote;
  std::size_t indent = 0;  // columns from the left
  std::u32string text;
  std::u32string stamp;    // time and ticks, after the text on the message's last line
  bool read = false;
  bool failed = false;
};

class ChatModel {
 public:
  // One line of the chat's output. False: it is none.
  bool apply(std::string_view json);

  // The `height` lines that end `scroll` lines above the newest one, top first; fewer at the top.
  std::vector<ChatLine> lines(std::size_t width, std::size_t height, std::size_t scroll) const;

  bool started() const { return started_; }
  const std::string& with() const { return with_; }
  bool verified() const { return verified_; }
  bool online() const { return online_; }
  const std::string& reason() const { return reason_; }
  bool more() const { return more_; }  // older messages can be had
  const std::string& problem() const { return problem_; }
  void clear_problem() { problem_.clear(); }
  // A text that could not be sent, to be put back into the editor; told once.
  std::string take_back() { return std::exchange(text_back_, {}); }
  // True once after messages of the other side came.
  bool take_unread() { return std::exchange(unread_, false); }
  // Messages at the newest end that came since the last call.
  std::size_t take_arrived() { return std::exchange(arrived_, 0); }

 private:
  struct Message {
    std::string id;
    bool own = false;
    bool note = false;
    Instant composed;
    client::Status status = client::Status::kQueued;
    std::u32string text;
    std::u32string failure;
  };
  void add(const Json& object);
  void change(const Json& object);
  void note(std::string_view text);
  void lay_out(const Message& message, std::size_t width, std::vector<ChatLine>& out) const;

  std::deque<Message> messages_;  // oldest first
  std::map<std::string, client::Status> early_;  // statuses of messages not seen yet
  std::string with_;
  std::string reason_;
  std::string problem_;
  std::string text_back_;
  bool started_ = false;
  bool verified_ = false;
  bool online_ = false;
  bool more_ = false;
  bool unread_ = false;
  std::size_t arrived_ = 0;
};

// Breaks a text into lines of at most `width` columns: at spaces, else inside a word.
std::vector<std::u32string> wrap(std::u32string_view text, std::size_t width);

}  // namespace godwit::cli
