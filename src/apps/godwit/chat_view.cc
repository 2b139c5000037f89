#include "apps/godwit/chat_view.h"

#define NCURSES_WIDECHAR 1
#include <curses.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>

#include "apps/godwit/slash.h"

namespace godwit::cli {
namespace {

enum Pair : short {
  kPairTitle = 1,
  kPairOnline,
  kPairOffline,
  kPairOwn,
  kPairRead,
  kPairProblem,
  kPairPeople,  // and the next ones: one for each colour of a sender's name
};
constexpr short kPeople[] = {COLOR_CYAN, COLOR_MAGENTA, COLOR_YELLOW, COLOR_BLUE, COLOR_RED};

constexpr int kWheel = 3;  // lines per notch
constexpr char32_t kCtrl = 0x1F;
constexpr std::size_t kMaxLineInput = 64 * 1024;

Instant steady_clock() {
  const auto since = std::chrono::steady_clock::now().time_since_epoch();
  return {std::chrono::duration_cast<std::chrono::milliseconds>(since).count()};
}

std::wstring wide(std::u32string_view text) { return {text.begin(), text.end()}; }

void put(int row, int column, std::u32string_view text) {
  mvaddwstr(row, column, wide(text).c_str());
}
void put(int row, int column, std::string_view text) { put(row, column, from_utf8(text)); }

// The last part of `text` that fits in `columns`.
std::u32string_view tail_of(std::u32string_view text, std::size_t columns) {
  while (!text.empty() && columns_of(text) > columns) text.remove_prefix(1);
  return text;
}

std::u32string_view head_of(std::u32string_view text, std::size_t columns) {
  while (!text.empty() && columns_of(text) > columns) text.remove_suffix(1);
  return text;
}

// `text`, or as much of it as fits with the sign that something is missing.
std::u32string cut(std::string_view text, std::size_t columns) {
  std::u32string whole = from_utf8(text);
  if (columns_of(whole) <= columns || columns == 0) return whole;
  return std::u32string(head_of(whole, columns - 1)) + U'…';
}

}  // namespace

void ChatView::open() {
  initscr();
  open_ = true;
  cbreak();
  noecho();
  keypad(stdscr, TRUE);
  nodelay(stdscr, TRUE);
  set_escdelay(25);
  mousemask(BUTTON4_PRESSED | BUTTON5_PRESSED, nullptr);
  mouseinterval(0);
  if (has_colors()) {
    start_color();
    use_default_colors();
    init_pair(kPairTitle, COLOR_WHITE, COLOR_BLUE);
    init_pair(kPairOnline, COLOR_GREEN, COLOR_BLUE);
    init_pair(kPairOffline, COLOR_YELLOW, COLOR_BLUE);
    init_pair(kPairOwn, COLOR_GREEN, -1);
    init_pair(kPairRead, COLOR_BLUE, -1);
    init_pair(kPairProblem, COLOR_RED, -1);
    for (std::size_t i = 0; i < std::size(kPeople); ++i) {
      init_pair(static_cast<short>(kPairPeople + i), kPeople[i], -1);
    }
  }
  dirty_ = true;
}

void ChatView::close() {
  if (std::exchange(open_, false)) endwin();
  std::fputs(errors_.c_str(), stderr);
  errors_.clear();
}

bool ChatView::out(std::string_view octets) {
  pending_ += octets;
  std::size_t used = 0;
  for (std::size_t end; (end = pending_.find('\n', used)) != std::string::npos; used = end + 1) {
    if (model_.apply(std::string_view(pending_).substr(used, end - used))) dirty_ = true;
  }
  pending_.erase(0, used);
  if (model_.started() && !open_) open();
  if (const std::string back = model_.take_back(); !back.empty() && editor_.text().empty()) {
    editor_.set(from_utf8(back));
  }
  const std::size_t arrived = model_.take_arrived();
  if (scroll_ > 0) below_ += arrived;
  asked_older_ = asked_older_ && !dirty_;
  return true;
}

void ChatView::err(std::string_view octets) { errors_ += octets; }

void ChatView::on_resize() {
  winsize size{};
  if (!open_ || ::ioctl(1, TIOCGWINSZ, &size) != 0) return;
  resizeterm(std::max<int>(size.ws_row, 4), std::max<int>(size.ws_col, 20));
  clear();
  dirty_ = true;
}

void ChatView::refresh() {
  if (!open_ || !std::exchange(dirty_, false)) return;
  int height = 0, width = 0;
  getmaxyx(stdscr, height, width);
  if (height < 4 || width < 20) return;
  erase();
  const int pinned = model_.pinned().empty() || height < 8 ? 0 : 1;
  draw_lines(1 + pinned, width, height - 3 - pinned);
  if (pinned != 0) {
    attron(A_DIM);
    put(1, 1, cut("⚲ " + model_.pinned(), static_cast<std::size_t>(width - 2)));
    attroff(A_DIM);
  }
  draw_title(width);
  draw_input(height - 1, width);
  ::refresh();
  if (scroll_ == 0 && model_.take_unread()) wish({{"read", true}});
}

void ChatView::draw_title(int width) {
  attron(COLOR_PAIR(kPairTitle) | A_BOLD);
  mvhline(0, 0, ' ', width);
  const std::size_t columns = static_cast<std::size_t>(width);
  const std::size_t room = model_.online() ? columns / 3 : columns / 2;  // for the connection
  const std::size_t most = columns - room - 2;
  std::string title = model_.with() + (model_.verified() ? "  ✓ verified" : "");
  if (!model_.lifetime().empty()) title += "  ⏱ " + model_.lifetime();
  if (const std::string typing = model_.typing(); !typing.empty()) {
    title += "  " + typing;
  } else if (model_.group()) {
    const std::size_t taken = columns_of(from_utf8(title)) + 2;
    title += "  " + model_.people(most - std::min(most, taken));
  }
  put(0, 1, cut(title, most));
  attroff(COLOR_PAIR(kPairTitle) | A_BOLD);
  const std::string state = model_.online()           ? "● online"
                            : model_.reason().empty() ? "○ connecting…"
                                                      : "○ offline: " + model_.reason();
  const std::u32string shown = cut(state, room);
  const int pair = model_.online() ? kPairOnline : kPairOffline;
  attron(COLOR_PAIR(pair) | A_BOLD);
  put(0, width - static_cast<int>(columns_of(shown)) - 1, shown);
  attroff(COLOR_PAIR(pair) | A_BOLD);
}

void ChatView::draw_line(int row, const ChatLine& line) {
  using Kind = ChatLine::Kind;
  using Part = ChatLine::Part;
  if (!line.label.empty()) {
    attron(A_REVERSE);
    put(row, 0, line.label);
    attroff(A_REVERSE);
  }
  attr_t look = A_NORMAL;
  if (line.failed) look = static_cast<attr_t>(COLOR_PAIR(kPairProblem));
  else if (line.kind == Kind::kDay || line.part == Part::kQuote) look = A_DIM;
  else if (line.part == Part::kSender) {
    const auto hue = static_cast<int>(line.hue % std::size(kPeople));
    look = static_cast<attr_t>(COLOR_PAIR(kPairPeople + hue)) | A_BOLD;
  } else if (line.kind == Kind::kOwn) look = static_cast<attr_t>(COLOR_PAIR(kPairOwn));
  else if (line.kind == Kind::kNote || line.mentions) look = A_BOLD;
  attron(look);
  put(row, static_cast<int>(line.indent), line.text);
  attroff(look);
  if (line.stamp.empty()) return;
  const attr_t stamp = line.read ? COLOR_PAIR(kPairRead) | A_BOLD : A_DIM;
  attron(stamp);
  addwstr(wide(line.stamp).c_str());
  attroff(stamp);
}

void ChatView::draw_lines(int top, int width, int height) {
  const auto columns = static_cast<std::size_t>(width), rows = static_cast<std::size_t>(height);
  std::vector<ChatLine> lines = model_.lines(columns, rows, scroll_);
  if (scroll_ > 0 && lines.size() < rows) {
    if (!model_.more()) scroll_ -= std::min(scroll_, rows - lines.size());
    lines = model_.lines(columns, rows, scroll_);
  }
  if (lines.size() < rows && model_.more() && !std::exchange(asked_older_, true)) {
    wish({{"older", true}});
  }
  int row = top + height - static_cast<int>(lines.size());
  for (const ChatLine& line : lines) draw_line(row++, line);
}

void ChatView::draw_input(int row, int width) {
  attron(A_DIM);
  mvhline(row - 1, 0, ACS_HLINE, width);
  attroff(A_DIM);
  if (!model_.problem().empty()) {
    // A long one takes lines of the conversation.
    const auto lines = wrap(from_utf8(model_.problem()), static_cast<std::size_t>(width - 6));
    const int first = std::max(row - static_cast<int>(lines.size()), 1);
    attron(COLOR_PAIR(kPairProblem) | A_BOLD);
    for (int at = first; at < row; ++at) {
      if (at + 1 < row) mvhline(at, 0, ' ', width);
      put(at, 2, U" " + lines[static_cast<std::size_t>(at - first)] + U" ");
    }
    attroff(COLOR_PAIR(kPairProblem) | A_BOLD);
  } else if (scroll_ > 0) {
    put(row - 1, 2, below_ > 0 ? " ↓ " + grouped(below_) + " new " : " ↓ PgDn ");
  }
  if (const std::string badge = model_.unread_elsewhere(); !badge.empty()) {
    const std::u32string text = from_utf8(" " + badge + " ");
    const int column = width - static_cast<int>(columns_of(text)) - 2;
    if (column > width / 2 && model_.problem().size() < static_cast<std::size_t>(width / 2)) {
      attron(A_BOLD);
      put(row - 1, column, text);
      attroff(A_BOLD);
    }
  }
  attron(A_BOLD);
  put(row, 0, "› ");
  attroff(A_BOLD);
  std::u32string text = editor_.text();
  for (char32_t& c : text) c = c == U'\n' ? U'↵' : c;
  const auto room = static_cast<std::size_t>(width - 4);
  const std::u32string_view before =
      tail_of(std::u32string_view(text).substr(0, editor_.cursor()), room);
  const std::u32string_view after =
      head_of(std::u32string_view(text).substr(editor_.cursor()), room - columns_of(before));
  put(row, 2, before);
  if (text.empty()) {
    attron(A_DIM);
    const std::string what = model_.closed().empty()
                                 ? "Message   (Enter sends, /help shows what else there is, "
                                 : model_.closed() + "   (/help shows what there is, ";
    put(row, 2, head_of(from_utf8(what + "Esc leaves)"), room));
    attroff(A_DIM);
  } else {
    addwstr(wide(after).c_str());
  }
  move(row, 2 + static_cast<int>(columns_of(before)));
}

bool ChatView::read(std::string& input) {
  for (;;) {
    wint_t key = 0;
    const int kind = get_wch(&key);
    if (kind == ERR) break;
    dirty_ = true;
    if (!on_key(kind == KEY_CODE_YES, key) || leaves_) {
      input = last_wishes();
      return false;
    }
    on_typed();
  }
  input = wishes();
  // Nothing typed and nothing there: the terminal went away.
  if (!dirty_) {
    int waiting = 0;
    if (::ioctl(0, FIONREAD, &waiting) != 0) return false;
  }
  return true;
}

bool ChatView::on_key(bool special, char32_t key) {
  model_.clear_problem();
  if (special) return on_special(key);
  if (key == 0x1B) return on_escape();
  if (key == U'\n' || key == U'\r') {
    enter();
    return true;
  }
  if (key == U'\t') {
    complete();
    return true;
  }
  if (key < 0x20 || key == 0x7F) return on_control(key);
  if (editor_.text().size() < kMaxLineInput) editor_.insert(key);
  return true;
}

bool ChatView::on_special(char32_t key) {
  int height = 0, width = 0;
  getmaxyx(stdscr, height, width);
  (void)width;
  switch (key) {
    case KEY_LEFT: editor_.left(); break;
    case KEY_RIGHT: editor_.right(); break;
    case KEY_HOME: editor_.home(); break;
    case KEY_END: editor_.end(); break;
    case KEY_UP: editor_.older(); break;
    case KEY_DOWN: editor_.newer(); break;
    case KEY_BACKSPACE: editor_.backspace(); break;
    case KEY_DC: editor_.erase(); break;
    case KEY_ENTER: enter(); break;
    case KEY_PPAGE: scroll_by(height - 4); break;
    case KEY_NPAGE: scroll_by(4 - height); break;
    case KEY_MOUSE: on_mouse(); break;
    default: break;
  }
  return true;
}

bool ChatView::on_control(char32_t key) {
  switch (key) {
    case 'A' & kCtrl: editor_.home(); break;
    case 'E' & kCtrl: editor_.end(); break;
    case 'B' & kCtrl: editor_.left(); break;
    case 'F' & kCtrl: editor_.right(); break;
    case 'D' & kCtrl:
      if (editor_.text().empty()) return false;
      editor_.erase();
      break;
    case 'K' & kCtrl: editor_.erase_to_end(); break;
    case 'U' & kCtrl: editor_.erase_to_start(); break;
    case 'W' & kCtrl: editor_.erase_word(); break;
    case 'P' & kCtrl: editor_.older(); break;
    case 'N' & kCtrl: editor_.newer(); break;
    case 'L' & kCtrl: clear(); break;
    case 'C' & kCtrl: return false;
    case 'H' & kCtrl:
    case 0x7F: editor_.backspace(); break;
    default: break;
  }
  return true;
}

// Escape alone leaves; with a key right behind it, it is Alt.
bool ChatView::on_escape() {
  wint_t key = 0;
  if (get_wch(&key) == ERR) return false;
  switch (key) {
    case '\n':
    case '\r': editor_.insert(U'\n'); break;
    case 'b': editor_.word_left(); break;
    case 'f': editor_.word_right(); break;
    case 0x7F: editor_.erase_word(); break;
    default: break;
  }
  return true;
}

void ChatView::on_mouse() {
  MEVENT event;
  if (getmouse(&event) != OK) return;
  if ((event.bstate & BUTTON4_PRESSED) != 0) scroll_by(kWheel);
  if ((event.bstate & BUTTON5_PRESSED) != 0) scroll_by(-kWheel);
}

void ChatView::scroll_by(int lines) {
  if (lines > 0) {
    scroll_ += static_cast<std::size_t>(lines);
  } else {
    scroll_ -= std::min(scroll_, static_cast<std::size_t>(-lines));
  }
  if (scroll_ == 0) below_ = 0;
}

void ChatView::enter() {
  const std::u32string text = editor_.take();
  model_.clear_answers();
  if (text.find_first_not_of(U" \n") == std::u32string::npos) return;
  if (text.front() != U'/') {
    wish({{"send", to_utf8(text)}});
  } else {
    Slash asked = read_slash(to_utf8(text), model_);
    for (const Json& each : asked.wishes) wish(each);
    if (!asked.note.empty()) model_.note(asked.note);
    if (!asked.problem.empty()) {
      model_.say(asked.problem);
      editor_.set(text);
    }
    leaves_ = asked.leave;
  }
  scroll_ = 0;
  below_ = 0;
}

void ChatView::complete() {
  const std::string text = to_utf8(editor_.text());
  if (!text.starts_with('/') || text.find(' ') != std::string::npos) return;
  editor_.set(from_utf8(complete_slash(text)));
}

void ChatView::on_typed() {
  const std::u32string& text = editor_.text();
  const bool command = text.starts_with(U'/');
  if (command) model_.number();
  else model_.unnumber();
  const bool composes = !text.empty() && !command;
  const Instant now = steady_clock();
  if (composes && (told_typing_.ms == 0 || now >= told_typing_ + limits::kTypingRepeats)) {
    wish({{"typing", true}});
    told_typing_ = now;
  } else if (!composes && std::exchange(told_typing_, {}).ms != 0) {
    wish({{"typing", false}});
  }
}

// What is half written waits for the next time.
std::string ChatView::last_wishes() {
  const bool command = editor_.text().starts_with(U'/');
  wish({{"draft", command ? std::string() : to_utf8(editor_.text())}});
  return wishes();
}

}  // namespace godwit::cli
