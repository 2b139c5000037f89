#include "client/recent_contents.h"

#include <algorithm>

namespace godwit::client {

using ports::Space;

bool RecentContents::contains(UserId from, MessageId id) const {
  const auto found = rings_.find(from);
  if (found == rings_.end()) return false;
  const Tag tag = tag_of(id);
  return std::ranges::any_of(found->second.chunks, [&](const auto& chunk) {
    return std::ranges::find(chunk, tag) != chunk.end();
  });
}

void RecentContents::add(UserId from, MessageId id) {
  Ring& ring = rings_[from];
  if (ring.chunks.empty() || ring.chunks.back().size() == kChunk) ring.chunks.emplace_back();
  ring.chunks.back().push_back(tag_of(id));
  changed_.insert({from, ring.first + ring.chunks.size() - 1});
  if (ring.chunks.size() > kChunks) {
    changed_.insert({from, ring.first++});
    ring.chunks.pop_front();
  }
}

void RecentContents::flush(Turn& turn) {
  for (const auto& [user, number] : changed_) {
    const Ring& ring = rings_.at(user);
    if (number < ring.first) {
      turn.erase(Space::kContact, row_key('T', user, number));
    } else {
      turn.put(Space::kContact, row_key('T', user, number),
               value_of(ring.chunks[number - ring.first]));
    }
  }
  changed_.clear();
}

Bytes RecentContents::value_of(const std::vector<Tag>& chunk) {
  Bytes value;
  for (const Tag& tag : chunk) append(value, tag);
  return value;
}

Result<void> RecentContents::load(UserId from, std::uint64_t chunk, ByteView value) {
  Ring& ring = rings_[from];
  if (ring.chunks.empty()) ring.first = chunk;
  const bool follows = chunk == ring.first + ring.chunks.size() &&
                       (ring.chunks.empty() || ring.chunks.back().size() == kChunk);
  if (!follows || ring.chunks.size() == kChunks || value.empty() ||
      value.size() > kChunk * sizeof(Tag) || value.size() % sizeof(Tag) != 0) {
    return fail(Code::kCorrupt, "the recent contents of a contact are damaged");
  }
  std::vector<Tag>& tags = ring.chunks.emplace_back();
  for (; !value.empty(); value = value.subspan(sizeof(Tag))) {
    tags.push_back(*to_array<8>(value.first(sizeof(Tag))));
  }
  return {};
}

void RecentContents::store_all(ports::Batch& batch) const {
  for (const auto& [user, ring] : rings_) {
    for (std::size_t i = 0; i < ring.chunks.size(); ++i) {
      batch.put(Space::kContact, row_key('T', user, ring.first + i), value_of(ring.chunks[i]));
    }
  }
}

}  // namespace godwit::client
