// Search: the words of messages, and finding messages by them.
//
// Words are folded, so that case and accents do not matter: "Zürich", "ZURICH" and "zurich" are
// one. Each ideograph and syllable of East Asia is a word of its own. The index lies in the
// encrypted store (ports/store.h), a row per message; nothing of it leaves the device.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "client/rows.h"

namespace godwit::client {

// The words of a text, folded, separated by spaces.
std::string folded(std::string_view text);
// What a message is found by: its text, and the words that came with it.
std::string searchable(const Message& message);
// order (8) || chat (17): newer ones are higher.
Bytes search_row_key(std::uint64_t order, ChatId chat);

// What Space::kSearch holds of a message: its words, and one that means its chat, which nobody
// types: so a search of one chat looks at that chat only. Empty: there are no words.
Bytes search_row(std::string_view words, ChatId chat);

// Messages that hold, for each word of `text`, a word that begins with it; the newest first, at
// most `limit`. `chat` nil: in all chats.
Result<std::vector<Message>> search(ports::Store& store, std::string_view text, ChatId chat,
                                    std::size_t limit);

}  // namespace godwit::client
