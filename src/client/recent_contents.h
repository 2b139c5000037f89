// RecentContents: the ids of the last contents that each person sent, to tell a repetition from
// news whatever its number says.
//
// Numbers alone cannot: a device that was restored from an old backup counts on from there, and
// uses numbers again for other messages. Senders repeat nothing that lies further back than
// limits::kRepeatHorizon contents, so what is not remembered here is new.
//
// Stored in chunks, of which a message rewrites one.
#pragma once

#include <deque>
#include <map>
#include <set>
#include <vector>

#include "client/turn.h"

namespace godwit::client {

class RecentContents {
 public:
  bool contains(UserId from, MessageId id) const;
  void add(UserId from, MessageId id);

  // Writes what was added in this turn.
  void flush(Turn& turn);
  Result<void> load(UserId from, std::uint64_t chunk, ByteView value);
  void store_all(ports::Batch& batch) const;

 private:
  // An id is random, so a part of it will do: one in 2^53 messages is mistaken for another.
  using Tag = ByteArray<8>;
  static constexpr std::size_t kChunk = 64;
  static constexpr std::size_t kChunks = limits::kRecentContents / kChunk + 1;
  struct Ring {
    std::uint64_t first = 0;                // the number of the oldest chunk
    std::deque<std::vector<Tag>> chunks;  // all but the last are full
  };
  static Tag tag_of(MessageId id) { return *to_array<8>(id.view().first(8)); }
  static Bytes value_of(const std::vector<Tag>& chunk);

  std::map<UserId, Ring> rings_;
  std::set<std::pair<UserId, std::uint64_t>> changed_;  // since flush(): chunks, also those gone
};

}  // namespace godwit::client
