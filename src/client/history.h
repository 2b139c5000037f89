// History: reads stored messages of a chat, newest or oldest first, a page at a time.
//
// Row key in Space::kMessage: chat (17) || order (8, big-endian, the engine's counter) .
// Reads only; the engine is the one writer.
#pragma once

#include <vector>

#include "client/types.h"
#include "ports/store.h"

namespace godwit::client {

struct Page {
  std::vector<Message> messages;  // oldest first
  Bytes before;                   // pass as `before` for the page that precedes; empty: no more
};

// The last `limit` messages of the chat that lie before the row key `before` (empty: the newest).
Result<Page> read_history(ports::Store& store, ChatId chat, ByteView before, std::size_t limit);

}  // namespace godwit::client
