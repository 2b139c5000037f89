// Unshown: the received messages that `godwit receive` has not printed yet, in the order in which
// they arrived over all chats.
//
// The marker is one number in the store: the engine's order of the last message that was printed
// and flushed. It moves only after the front-end confirmed the octets, so a crash in between
// prints a message again and never skips one. One reader at a time: who else asks waits in line.
#pragma once

#include <deque>
#include <set>
#include <vector>

#include "client/types.h"
#include "ports/store.h"

namespace godwit::cli {

class Unshown {
 public:
  struct Entry {
    std::uint64_t order = 0;
    client::Message message;
  };
  explicit Unshown(ports::Store& store) : store_(store) {}

  // A message came in this chat.
  void note(client::ChatId chat) { chats_.insert(chat); }
  // The next messages after those returned before; at most kPage, fewer when there are no more.
  Result<std::vector<Entry>> next();
  // Everything up to this order was shown: durable when it returns.
  Result<void> shown(std::uint64_t order);

  // True when `reader` may read now; if not, it is remembered and may ask again later.
  bool take(const void* reader);
  // The reader ends. What it took and did not show is there for the next one.
  void release(const void* reader);

  static constexpr std::size_t kPage = 64;

 private:
  Result<void> rewind();
  Result<void> find_chats();

  ports::Store& store_;
  bool loaded_ = false;
  std::uint64_t cursor_ = 0;  // the last order handed out
  std::set<client::ChatId> chats_;    // that may have messages after the cursor
  std::deque<const void*> readers_;
};

}  // namespace godwit::cli
