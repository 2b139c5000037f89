// History: reads stored messages, with what was done to them. Reads only; the engine is the one
// writer (journal.h, rows.h).
#pragma once

#include <string_view>
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
// One message. kNotFound: it is not there (any more).
Result<Message> read_message(ports::Store& store, ChatId chat, std::uint64_t order);
// Joins to a message what was done to it. Nobody but its writer edits a message, whatever the rows
// say.
Result<void> join(ports::Store& store, Message& message);
// The messages whose id begins with these hexadecimal digits, at least four; at most two. kInvalid:
// no such digits.
Result<std::vector<Message>> find_messages(ports::Store& store, std::string_view prefix);
// Those that were starred, of all chats.
Result<std::vector<Message>> read_starred(ports::Store& store);

}  // namespace godwit::client
