// Store: durable rows, (space, partition, key) -> value, each with an optional expiry.
//
// All rows of one partition belong to one owner (an entity of a shard, or the client's engine). A
// Batch touches one partition and is atomic: all of it is stored, or none. Nothing spans
// partitions. The same port serves the server (RocksDB, Cassandra) and the client (SQLite).
//
// Contract, checked on every adapter by ports/store_conformance.h:
//   * after write(kSafe) returned success, its rows survive SIGKILL and power loss;
//   * after write() returned an error, each of its batches is wholly there or wholly absent: the
//     owner must forget what it believed and load again;
//   * scan() returns rows in ascending key order (octets, unsigned), expired rows never;
//   * a read sees every earlier write of this process;
//   * a row is expired when its time is <= the time given to set_now().
//
// Partitions, keys and values have the sizes of base/limits.h; write() refuses larger ones
// (kTooLarge) and stores none of the batches. Keys and values may be empty.
//
// Thread-safe: any thread may call; calls may block on the disk.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/codec.h"
#include "base/result.h"
#include "base/time.h"

namespace godwit::ports {

// A kind of row: a column family, a table. Numbers are stored; append only.
enum class Space : std::uint8_t {
  kMeta = 1,       // format version, epochs, keys of the server itself
  kDirectory = 2,  // handle -> user, and pending verification codes
  kAccount = 3,    // devices and their signed prekeys, cursors
  kPrekey = 4,     // one-time prekeys
  kQueue = 5,      // sealed envelopes
  kGroup = 6,      // groups: their states, and how these came to be
  kFanout = 7,     // what a group has accepted and its members do not have yet
  // client
  kProfile = 16,  // own registration and keys
  kContact = 17,  // people, their devices
  kSession = 18,  // ratchet sessions
  kOutbox = 19,   // composed, not yet accepted by the server
  kMessage = 20,  // history
  kSetting = 21,
  kChat = 22,  // groups as this device knows them
  kAct = 24,     // what was done to messages
  kSearch = 25,  // words of messages, to be found by match()
};
inline constexpr Space kServerSpaces[] = {Space::kMeta,   Space::kDirectory, Space::kAccount,
                                          Space::kPrekey, Space::kQueue,     Space::kGroup,
                                          Space::kFanout};
inline constexpr Space kClientSpaces[] = {
    Space::kMeta,    Space::kProfile, Space::kContact, Space::kSession, Space::kOutbox,
    Space::kMessage, Space::kSetting, Space::kChat,    Space::kAct,     Space::kSearch};
std::string_view space_name(Space space);  // lower case, stable: names a column family or table

struct Row {
  Bytes key;
  Bytes value;
  Instant expires = kNever;
  bool operator==(const Row&) const = default;
};

// One change of one partition.
struct Mutation {
  enum class Kind : std::uint8_t { kPut, kErase, kEraseRange };
  Kind kind = Kind::kPut;
  Space space = Space::kMeta;
  Row row;        // kPut: the row; kErase: its key; kEraseRange: first key, inclusive
  Bytes key_end;  // kEraseRange: last key, exclusive; empty = to the partition's end
};

// What one Commit stores, atomically, in order.
struct Batch {
  Bytes partition;
  std::vector<Mutation> mutations;

  bool empty() const { return mutations.empty(); }
  void put(Space space, Bytes key, Bytes value, Instant expires = kNever) {
    mutations.push_back(
        {Mutation::Kind::kPut, space, {std::move(key), std::move(value), expires}, {}});
  }
  void erase(Space space, Bytes key) {
    mutations.push_back({Mutation::Kind::kErase, space, {std::move(key), {}, kNever}, {}});
  }
  // Erases keys in [first, end); an empty `end` means to the end of the partition.
  void erase_range(Space space, Bytes first, Bytes end) {
    mutations.push_back(
        {Mutation::Kind::kEraseRange, space, {std::move(first), {}, kNever}, std::move(end)});
  }
};

// kTooLarge when the partition, a key or a value is over its limit. Adapters call it in write().
Result<void> check_batch(const Batch& batch);

// A bounded read of one partition: keys in [first, end), at most `limit` rows.
struct Scan {
  Bytes partition;
  Space space = Space::kMeta;
  Bytes first;
  Bytes end;  // empty = to the end of the partition
  std::size_t limit = SIZE_MAX;
  bool reverse = false;  // newest first: the last `limit` rows of the range, descending
  // Instead: the partitions from `first` to `end` that have rows in this space, each as a row's
  // key. Walks over all of them: for spaces that are nearly empty. `partition` is ignored, order
  // unsaid.
  bool partitions = false;
};

enum class Durability : std::uint8_t {
  kFast,  // may be lost with the machine, not with the process
  kSafe,  // on disk before write() returns
};

class Store {
 public:
  virtual ~Store() = default;

  // Stores the batches in order; one synchronisation for all of them (group commit). kFull: the
  // disk is full. kIo: any other refusal. kCorrupt: stored data does not verify.
  virtual Result<void> write(std::span<const Batch> batches, Durability durability) = 0;
  virtual Result<std::vector<Row>> scan(const Scan& scan) = 0;

  // Rows of Space::kSearch that hold, for each of `words`, a word that begins with it; the highest
  // keys first. Their keys begin with eight octets that are theirs alone, their values are words of
  // a-z, 0-9 and octets above 127, separated by spaces, and they do not expire. kUnsupported: a
  // server's store.
  // (Written here, for pure folders and adapters differ in what they know of a type at run time.)
  virtual Result<std::vector<Row>> match(ByteView, std::span<const std::string> /*words*/,
                                         std::size_t /*limit*/) {
    return fail(Code::kUnsupported, "this store does not search");
  }

  // Removes expired rows and reclaims space; `now` decides. Reads hide them before.
  virtual Result<void> expire(Instant now) = 0;
  // Rows of a space over all partitions, for checkers, metrics and tests; expired ones excluded.
  virtual Result<std::uint64_t> count(Space space) = 0;
  // The time by which scan() hides expired rows. Set by the owner of the clock.
  virtual void set_now(Instant now) = 0;

  // Closes what is open, so that another process may open it. Until reclaim() all else fails with
  // kUnavailable. A store that other processes cannot open anyway has nothing to do.
  virtual void release() {}
  virtual Result<void> reclaim() { return {}; }

  // The row of `key`, or kNotFound.
  Result<Row> get(ByteView partition, Space space, ByteView key);
};

}  // namespace godwit::ports
