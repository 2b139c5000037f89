// MemoryStore: the Store of tests and of the simulator. One ordered map, no disk, no lock.
//
// Deterministic: what scan() returns depends on the writes alone. Durability means nothing here;
// FaultyStore (faulty_store.h) gives it a meaning. Copying one takes a snapshot.
//
// Unlike the adapters it is for one thread only: the simulator has no other, and pure folders hold
// no lock.
#pragma once

#include <compare>
#include <map>

#include "ports/store.h"

namespace godwit::ports {

class MemoryStore final : public Store {
 public:
  Result<void> write(std::span<const Batch> batches, Durability durability) override;
  Result<std::vector<Row>> scan(const Scan& scan) override;
  Result<std::vector<Row>> match(ByteView partition, std::span<const std::string> words,
                                 std::size_t limit) override;
  Result<void> expire(Instant now) override;
  Result<std::uint64_t> count(Space space) override;
  void set_now(Instant now) override { now_ = now; }

  // Calls see(partition, key, value, expires) for every row of a space, expired ones included.
  void each(Space space, const auto& see) const {
    for (auto at = rows_.lower_bound({space, {}, {}}); at != rows_.end(); ++at) {
      if (at->first.space != space) return;
      see(ByteView(at->first.partition), ByteView(at->first.key), ByteView(at->second.octets),
          at->second.expires);
    }
  }

  // Two stores are equal when they hold the same rows, expired ones included.
  bool operator==(const MemoryStore& other) const { return rows_ == other.rows_; }

 private:
  struct Place {
    Space space;
    Bytes partition;
    Bytes key;
    auto operator<=>(const Place&) const = default;
  };
  struct Value {
    Bytes octets;
    Instant expires;
    bool operator==(const Value&) const = default;
  };
  using Rows = std::map<Place, Value>;

  // The rows of [first, end) in one partition; an empty `end` reaches to the partition's end.
  std::pair<Rows::iterator, Rows::iterator> range(Space space, const Bytes& partition,
                                                  const Bytes& first, const Bytes& end);
  void apply(const Bytes& partition, const Mutation& mutation);
  std::vector<Row> partitions(const Scan& scan) const;

  Rows rows_;
  Instant now_;
};

}  // namespace godwit::ports
