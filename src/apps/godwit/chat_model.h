// ChatModel: what a chat shows, as lines of text of a given width. Knows no screen.
//
// It is fed the JSON lines of chat_command.h. Foreign text is made harmless here (output.h), once,
// when it comes in.
#pragma once

#include <deque>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "apps/godwit/output.h"

namespace godwit::cli {

// Columns that a text takes on a terminal.
std::size_t columns_of(std::u32string_view text);
// Breaks a text into lines of at most `width` columns: at spaces, else inside a word.
std::vector<std::u32string> wrap(std::u32string_view text, std::size_t width);

// One line of the conversation's area.
struct ChatLine {
  enum class Kind : std::uint8_t { kDay, kTheirs, kOwn, kNote };
  enum class Part : std::uint8_t { kText, kSender, kQuote, kExtra };
  Kind kind = Kind::kNote;
  Part part = Part::kText;
  std::size_t indent = 0;  // columns from the left
  std::u32string text;
  std::u32string stamp;    // time and ticks, after the text on the message's last line
  std::u32string label;    // the message's number, at the left edge
  std::size_t hue = 0;     // kSender: the same for the same person
  bool read = false;
  bool failed = false;
  bool mentions = false;  // me
};

class ChatModel {
 public:
  // One line of the chat's output. False: it is none.
  bool apply(std::string_view json);
  // Lines for the person alone, below the newest message: an answer to what they asked, until
  // clear_answers(), or news.
  enum class Note : std::uint8_t { kAnswer, kNews };
  void note(std::string_view text, Note kind = Note::kAnswer);
  void clear_answers();

  // The `height` lines that end `scroll` lines above the newest one, top first; fewer at the top.
  std::vector<ChatLine> lines(std::size_t width, std::size_t height, std::size_t scroll) const;

  // Numbers the messages, the newest as 1, until unnumber(): what comes meanwhile gets none.
  void number();
  void unnumber() { numbered_from_.reset(); }
  // What a command that names no message, or this number, is about.
  enum class Which : std::uint8_t { kAny, kTheirs, kOwn, kPoll, kOnce };
  struct Named {
    std::string id;
    std::string text;
    bool own = false;
  };
  std::optional<Named> newest(Which which) const;
  std::optional<Named> numbered(std::size_t number) const;

  bool started() const { return started_; }
  const std::string& with() const { return with_; }
  bool group() const { return group_; }
  // In a group: who is in it, admins marked.
  const std::vector<std::string>& members() const { return members_; }
  // The same in at most so many columns; how many they are, where they do not fit.
  std::string people(std::size_t columns) const;
  // Why nothing can be sent here; empty: it can.
  const std::string& closed() const { return closed_; }
  // "Disappearing after 24 hours", pinned message, who composes; empty: nothing.
  const std::string& lifetime() const { return lifetime_; }
  const std::string& pinned() const { return pinned_; }
  std::string typing() const;
  std::string unread_elsewhere() const;
  bool verified() const { return verified_; }
  bool online() const { return online_; }
  const std::string& reason() const { return reason_; }
  bool more() const { return more_; }  // older messages can be had
  const std::string& problem() const { return problem_; }
  void say(std::string problem) { problem_ = std::move(problem); }
  void clear_problem() { problem_.clear(); }
  // A text that could not be sent, or a draft, to be put back into the editor; told once.
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
    bool answer = false;  // a note that goes
    bool poll = false;
    bool once = false;
    bool mentions = false;
    Instant composed;
    client::Status status = client::Status::kQueued;
    std::string from;  // in a group
    std::u32string head;  // above the text: forwarded, the quoted message
    std::u32string text;
    std::u32string plain;  // as it was written, to be edited
    std::u32string tail;  // below: preview, answers, card, place
    std::u32string reactions;
    std::u32string flags;  // edited, starred, disappears
    std::u32string failure;
  };
  struct Block;
  Message read(const Json& object) const;
  void add(const Json& object);
  void change(const Json& object);
  void settle(const Json& object);
  void inform(const Json& object);
  std::size_t find(std::string_view id) const;
  void lay_out(std::size_t at, std::size_t width, std::vector<ChatLine>& out) const;

  std::deque<Message> messages_;  // oldest first
  std::map<std::string, client::Status> early_;  // statuses of messages not seen yet
  std::optional<std::string> numbered_from_;  // the message that is number 1; empty: none
  std::string with_;
  std::string me_;
  std::vector<std::string> members_;
  std::string closed_;
  std::string lifetime_;
  std::string pinned_;
  std::vector<std::string> typing_;
  std::size_t elsewhere_ = 0, chats_elsewhere_ = 0, mentions_elsewhere_ = 0;
  std::string reason_;
  std::string problem_;
  std::string text_back_;
  bool started_ = false;
  bool group_ = false;
  bool verified_ = false;
  bool online_ = false;
  bool more_ = false;
  bool unread_ = false;
  std::size_t arrived_ = 0;
};

}  // namespace godwit::cli
