#include "client/search.h"

#include <algorithm>

#include "client/engine.h"
#include "client/history.h"

namespace godwit::client {
namespace {

using ports::Space;

// The base letters of U+00C0 to U+017F and of U+1E00 to U+1EFF; '.' for what is none.
constexpr std::string_view kLatin =
    "aaaaaaaceeeeiiiidnooooo.ouuuuytsaaaaaaaceeeeiiiidnooooo.ouuuuyty"
    "aaaaaaccccccccddddeeeeeeeeeegggggggghhhhiiiiiiiiiiiijjkkklllllll"
    "lllnnnnnnnnnoooooooorrrrrrssssssssssttttttuuuuuuuuuuuuwwyyyzzzzzzs";
constexpr std::string_view kMoreLatin =
    "aabbbbbbccddddddddddeeeeeeeeeeffgghhhhhhhhhhiiiikkkkkkllllllllmm"
    "mmmmnnnnnnnnoooooooopppprrrrrrrrssssssssssttttttttuuuuuuuuuuvvvv"
    "wwwwwwwwwwxxxxyyzzzzzzhtwyas..s.aaaaaaaaaaaaaaaaaaaaaaaaeeeeeeee"
    "eeeeeeeeiiiioooooooooooooooooooooooouuuuuuuuuuuuuuyyyyyyyy......";

constexpr std::pair<char32_t, char32_t> kGreek[] = {
    {0x386, 0x3B1}, {0x388, 0x3B5}, {0x389, 0x3B7}, {0x38A, 0x3B9}, {0x38C, 0x3BF}, {0x38E, 0x3C5},
    {0x38F, 0x3C9}, {0x3AA, 0x3B9}, {0x3AB, 0x3C5}, {0x3AC, 0x3B1}, {0x3AD, 0x3B5}, {0x3AE, 0x3B7},
    {0x3AF, 0x3B9}, {0x3C2, 0x3C3}, {0x3CA, 0x3B9}, {0x3CB, 0x3C5}, {0x3CC, 0x3BF}, {0x3CD, 0x3C5},
    {0x3CE, 0x3C9}, {0x390, 0x3B9}, {0x3B0, 0x3C5}};

bool within(char32_t c, char32_t first, char32_t last) { return c >= first && c <= last; }

// The next code point of UTF-8, which is well formed.
char32_t next(std::string_view& text) {
  const auto lead = static_cast<std::uint8_t>(text[0]);
  const std::size_t size = lead < 0x80 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
  char32_t c = size == 1 ? lead : lead & (0xFFu >> (size + 1));
  for (std::size_t i = 1; i < size && i < text.size(); ++i) {
    c = c << 6 | (static_cast<std::uint8_t>(text[i]) & 0x3Fu);
  }
  text.remove_prefix(std::min(size, text.size()));
  return c;
}

void put(std::string& out, char32_t c) {
  const auto tail = [&](int shift) { out += static_cast<char>(0x80 | (c >> shift & 0x3F)); };
  if (c < 0x80) {
    out += static_cast<char>(c);
  } else if (c < 0x800) {
    out += static_cast<char>(0xC0 | c >> 6);
    tail(0);
  } else if (c < 0x10000) {
    out += static_cast<char>(0xE0 | c >> 12);
    tail(6), tail(0);
  } else {
    out += static_cast<char>(0xF0 | c >> 18);
    tail(12), tail(6), tail(0);
  }
}

bool separates(char32_t c) {
  if (c < 0x80) return !within(c, '0', '9') && !within(c, 'a', 'z') && !within(c, 'A', 'Z');
  return within(c, 0x80, 0xBF) || c == 0xD7 || c == 0xF7 || within(c, 0x2000, 0x2BFF) ||
         within(c, 0x3000, 0x303F) || within(c, 0xFE00, 0xFE6F) || within(c, 0xFF00, 0xFF0F) ||
         within(c, 0xFF1A, 0xFF20) || within(c, 0x1F000, 0x1FFFF) || within(c, 0xE000, 0xF8FF);
}

bool stands_alone(char32_t c) {
  return within(c, 0x3040, 0x30FF) || within(c, 0x3400, 0x4DBF) || within(c, 0x4E00, 0x9FFF) ||
         within(c, 0xF900, 0xFAFF) || within(c, 0x20000, 0x2FFFF);
}

void fold(std::string& out, char32_t c) {
  if (c < 0x80) {
    out += static_cast<char>(within(c, 'A', 'Z') ? c + 32 : c);
  } else if (within(c, 0x300, 0x36F)) {
    // an accent of its own
  } else if (c == 0xC6 || c == 0xE6) {
    out += "ae";
  } else if (c == 0xDF || c == 0x1E9E) {
    out += "ss";
  } else if (c == 0xDE || c == 0xFE) {
    out += "th";
  } else if (c == 0x152 || c == 0x153) {
    out += "oe";
  } else if (within(c, 0xC0, 0x17F) && kLatin[c - 0xC0] != '.') {
    out += kLatin[c - 0xC0];
  } else if (within(c, 0x1E00, 0x1EFF) && kMoreLatin[c - 0x1E00] != '.') {
    out += kMoreLatin[c - 0x1E00];
  } else if (within(c, 0x370, 0x3FF)) {
    const auto accented = std::ranges::find(kGreek, c, &std::pair<char32_t, char32_t>::first);
    if (accented != std::end(kGreek)) return put(out, accented->second);
    put(out, within(c, 0x391, 0x3A9) ? c + 0x20 : c);
  } else if (within(c, 0x400, 0x52F)) {
    if (within(c, 0x400, 0x40F)) c += 0x50;
    else if (within(c, 0x410, 0x42F)) c += 0x20;
    else if (c >= 0x460 && c % 2 == 0 && !within(c, 0x482, 0x489) && c != 0x4C0) ++c;
    put(out, c == 0x451 ? U'\u0435' : c);
  } else if (within(c, 0x531, 0x556)) {
    put(out, c + 0x30);
  } else {
    put(out, c);
  }
}

}  // namespace

std::string folded(std::string_view text) {
  std::string out;
  bool apart = false;
  while (!text.empty()) {
    const char32_t c = next(text);
    if (separates(c)) {
      apart = true;
      continue;
    }
    const bool alone = stands_alone(c);
    if ((apart || alone) && !out.empty() && out.back() != ' ') out += ' ';
    fold(out, c);
    apart = alone;
  }
  if (out.ends_with(' ')) out.pop_back();
  return out;
}

std::string searchable(const Message& message) {
  std::string text = message.text;
  const Extras& extras = message.extras;
  if (extras.preview) text += ' ' + extras.preview->title + ' ' + extras.preview->description;
  if (extras.poll) {
    for (const std::string& option : extras.poll->options) text += ' ' + option;
  }
  if (extras.card) text += ' ' + extras.card->name + ' ' + extras.card->phone;
  if (extras.place) text += ' ' + extras.place->name;
  return folded(text);
}

Bytes search_row_key(std::uint64_t order, ChatId chat) {
  Bytes key;
  put_be64(key, order);
  append(key, chat_key(chat));
  return key;
}

namespace {

// A character of the private use area, and the chat in hexadecimal.
std::string chat_word(ChatId chat) { return "\xEE\x80\x80" + to_hex(chat_key(chat)); }

}  // namespace

Bytes search_row(std::string_view words, ChatId chat) {
  if (words.empty()) return {};
  return to_bytes(std::string(words) + ' ' + chat_word(chat));
}

Result<std::vector<Message>> search(ports::Store& store, std::string_view text, ChatId chat,
                                    std::size_t limit) {
  if (!is_utf8(view_of(text))) return fail(Code::kInvalid, "the search is not UTF-8 text");
  std::vector<std::string> words;
  const std::string line = folded(text);
  for (std::string_view rest = line; !rest.empty();) {
    const std::size_t end = std::min(rest.find(' '), rest.size());
    words.emplace_back(rest.substr(0, end));
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  if (words.empty()) return fail(Code::kInvalid, "name a word to search for");
  limit = std::min(limit, limits::kSearchResults);
  if (!chat.is_nil()) words.push_back(chat_word(chat));
  const auto rows = store.match(Engine::partition(), words, limit);
  if (!rows) return fail(rows.error());
  std::vector<Message> found;
  for (const ports::Row& row : *rows) {
    if (row.key.size() != 8 + kChatKey) continue;
    const ChatId where = chat_of(ByteView(row.key).subspan(8));
    if (where.is_nil()) continue;
    auto message = read_message(store, where, get_be64(ByteView(row.key).first(8)));
    if (message) found.push_back(std::move(*message));
    else if (message.error().code != Code::kNotFound) return fail(message.error());
  }
  return found;
}

}  // namespace godwit::client
