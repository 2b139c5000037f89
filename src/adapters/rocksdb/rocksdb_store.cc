#include "adapters/rocksdb/rocksdb_store.h"

#include <rocksdb/cache.h>
#include <rocksdb/compaction_filter.h>
#include <rocksdb/db.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/listener.h>
#include <rocksdb/options.h>
#include <rocksdb/slice_transform.h>
#include <rocksdb/table.h>
#include <rocksdb/write_batch.h>
#include <sys/statvfs.h>

#include <array>
#include <atomic>
#include <mutex>
#include <shared_mutex>
#include <utility>
#include <vector>

#include "adapters/rocksdb/row_layout.h"

namespace godwit::adapters {
namespace {

using ports::Batch;
using ports::Durability;
using ports::kServerSpaces;
using ports::Mutation;
using ports::Row;
using ports::Scan;
using ports::Space;

constexpr std::size_t kKiB = 1024, kMiB = 1024 * kKiB;
constexpr std::size_t kBlockCache = 16 * kMiB;
constexpr std::size_t kAllMemtables = 16 * kMiB;
constexpr std::size_t kOneMemtable = 4 * kMiB;
constexpr std::size_t kLogsUnflushed = 64 * kMiB;
// Kept free on the disk: room for RocksDB to write its memtables out, and for erasing to go on.
constexpr std::size_t kDiskReserve = 2 * kAllMemtables;
constexpr std::size_t kSpaces = std::size(kServerSpaces);

constexpr Error kDiskFull = {
    Code::kFull, "the disk is full: free some space; the server then goes on by itself"};
constexpr Error kDamaged = {Code::kCorrupt,
                            "the data directory is damaged: stop the server and restore a backup"};
constexpr Error kRefused = {
    Code::kIo, "the data directory cannot be used: look for disk errors in the system's log"};
constexpr Error kUnknownSpace = {Code::kInvalid, "a server's store has no such space"};

Error error_of(const rocksdb::Status& status) {
  if (status.IsNoSpace()) return kDiskFull;
  if (status.IsCorruption()) return kDamaged;
  return kRefused;
}

// Drops expired rows whenever RocksDB rewrites a file.
class ExpiryFilter final : public rocksdb::CompactionFilter {
 public:
  const char* Name() const override { return "godwit.expiry"; }
  bool Filter(int, const rocksdb::Slice&, const rocksdb::Slice& stored, std::string*,
              bool*) const override {
    const auto parsed = parse_value(stored.ToStringView());
    return parsed && parsed->expires <= now();
  }
  Instant now() const { return {now_.load(std::memory_order_relaxed)}; }
  void set_now(Instant now) { now_.store(now.ms, std::memory_order_relaxed); }

 private:
  std::atomic<std::int64_t> now_{0};
};

// The partition of a stored key. Files keep a filter of these, so that looking for the rows of an
// account touches only files that have some.
class PartitionOfKey final : public rocksdb::SliceTransform {
 public:
  const char* Name() const override { return "godwit.partition"; }
  rocksdb::Slice Transform(const rocksdb::Slice& key) const override {
    return {key.data(), size_in(key)};
  }
  bool InDomain(const rocksdb::Slice& key) const override {
    return !key.empty() && key.size() >= size_in(key);
  }

 private:
  static std::size_t size_in(const rocksdb::Slice& key) {
    return 1U + static_cast<std::uint8_t>(key[0]);
  }
};

rocksdb::ColumnFamilyOptions family_options(const ExpiryFilter& filter,
                                            const std::shared_ptr<rocksdb::Cache>& cache) {
  rocksdb::BlockBasedTableOptions table;
  table.block_cache = cache;
  table.cache_index_and_filter_blocks = true;  // else they grow outside of the bounded cache
  // In parts, of which a read takes those that it needs: a whole index is larger than the cache.
  table.index_type = rocksdb::BlockBasedTableOptions::kTwoLevelIndexSearch;
  table.partition_filters = true;
  table.pin_top_level_index_and_filter = true;
  table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(10));
  table.format_version = 5;
  rocksdb::ColumnFamilyOptions options;
  options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  options.prefix_extractor = std::make_shared<PartitionOfKey>();
  options.write_buffer_size = kOneMemtable;
  options.compression = rocksdb::kNoCompression;  // most of it is ciphertext
  options.compaction_filter = &filter;
  return options;
}

// Keeps RocksDB from recovering by itself after a failed write: in 7.8 it may go on with the very
// log file that failed, and aborts. We reopen instead (RocksDbStore::reopen).
class NoAutoRecovery final : public rocksdb::EventListener {
 public:
  void OnErrorRecoveryBegin(rocksdb::BackgroundErrorReason, rocksdb::Status,
                            bool* auto_recovery) override {
    *auto_recovery = false;
  }
};

rocksdb::DBOptions database_options() {
  rocksdb::DBOptions options;
  options.create_if_missing = true;
  options.create_missing_column_families = true;
  options.db_write_buffer_size = kAllMemtables;
  options.max_total_wal_size = kLogsUnflushed;
  options.max_open_files = 512;
  options.max_background_jobs = 2;
  // A torn tail is what a power failure leaves of writes that nobody was promised: drop it.
  options.wal_recovery_mode = rocksdb::WALRecoveryMode::kPointInTimeRecovery;
  // Its diary: short, and without threads of its own.
  options.info_log_level = rocksdb::InfoLogLevel::WARN_LEVEL;
  options.max_log_file_size = kMiB;
  options.keep_log_file_num = 2;
  options.max_manifest_file_size = kMiB;  // it names keys of files that are gone
  options.listeners = {std::make_shared<NoAutoRecovery>()};
  options.max_bgerror_resume_count = 0;
  options.stats_dump_period_sec = 0;
  options.stats_persist_period_sec = 0;
  return options;
}

// RocksDB while it is open, and its column families.
struct Database {
  static rocksdb::Status open(const std::string& directory, const ExpiryFilter& filter,
                              std::unique_ptr<Database>& out);
  ~Database() {
    for (auto* family : families) db->DestroyColumnFamilyHandle(family);
  }
  std::unique_ptr<rocksdb::DB> db;
  std::vector<rocksdb::ColumnFamilyHandle*> families;  // as kServerSpaces
};

rocksdb::Status Database::open(const std::string& directory, const ExpiryFilter& filter,
                               std::unique_ptr<Database>& out) {
  const auto options = family_options(filter, rocksdb::NewLRUCache(kBlockCache, 2));
  std::vector<rocksdb::ColumnFamilyDescriptor> descriptors;
  for (const Space space : kServerSpaces) {
    descriptors.emplace_back(std::string(ports::space_name(space)), options);
  }
  descriptors.emplace_back(rocksdb::kDefaultColumnFamilyName, options);  // RocksDB insists
  std::vector<rocksdb::ColumnFamilyHandle*> families;
  rocksdb::DB* db = nullptr;
  auto status = rocksdb::DB::Open(database_options(), directory, descriptors, &families, &db);
  if (!status.ok()) return status;
  out = std::make_unique<Database>();
  out->db.reset(db);
  out->families = std::move(families);
  return status;
}

class RocksDbStore final : public ports::Store {
 public:
  explicit RocksDbStore(std::string directory) : directory_(std::move(directory)) {}
  rocksdb::Status open();

  Result<void> write(std::span<const Batch> batches, Durability durability) override;
  Result<std::vector<Row>> scan(const Scan& scan) override;
  Result<void> expire(Instant now) override;
  Result<std::uint64_t> count(Space space) override;
  void set_now(Instant now) override { filter_.set_now(now); }
  void release() override;
  Result<void> reclaim() override;

 private:
  using Use = std::shared_lock<std::shared_mutex>;
  enum class Purpose : std::uint8_t { kRead, kWrite };

  Result<std::vector<Row>> partitions(const Scan& scan);
  static std::size_t index_of(Space space);  // kSpaces when it is none of ours
  // Keeps the database open while it is held. Reopens it first when it has to be.
  Result<Use> use(Purpose purpose);
  Result<void> reopen();
  bool disk_has_room() const;
  rocksdb::Status try_write(std::span<const Batch> batches, Durability durability);
  void add(rocksdb::WriteBatch& to, const Batch& batch, const Mutation& mutation);

  const std::string directory_;
  ExpiryFilter filter_;  // outlives the database, which calls it

  std::shared_mutex mutex_;             // exclusive: to close and open the database
  std::unique_ptr<Database> database_;  // null: it could not be opened again
  bool released_ = false;  // with the mutex
  // A write has failed, and RocksDB takes no more; reads go on.
  std::atomic<bool> failed_{false};
  // Spaces written to since the last expire(). At start that is not known: all.
  std::array<std::atomic<bool>, kSpaces> changed_{};
};

rocksdb::Status RocksDbStore::open() {
  const auto status = Database::open(directory_, filter_, database_);
  failed_ = !status.ok();
  for (auto& space : changed_) space = true;
  return status;
}

void RocksDbStore::release() {
  const std::unique_lock alone(mutex_);
  released_ = true;
  database_.reset();
}

Result<void> RocksDbStore::reclaim() {
  const std::unique_lock alone(mutex_);
  released_ = false;
  if (const auto status = open(); !status.ok()) return fail(error_of(status));
  return {};
}

Result<void> RocksDbStore::reopen() {
  const std::unique_lock alone(mutex_);
  if (released_) return fail(Code::kUnavailable, "another process has the store");
  if (!failed_ && database_) return {};  // another thread was faster
  if (!disk_has_room()) return fail(kDiskFull);
  database_.reset();
  if (const auto status = open(); !status.ok()) return fail(error_of(status));
  return {};
}

Result<RocksDbStore::Use> RocksDbStore::use(Purpose purpose) {
  Use lock(mutex_);
  if (database_ && !(purpose == Purpose::kWrite && failed_)) return lock;
  lock.unlock();
  GODWIT_TRY(reopen());
  lock.lock();
  if (!database_) return fail(kRefused);
  return lock;
}

std::size_t RocksDbStore::index_of(Space space) {
  std::size_t i = 0;
  while (i < kSpaces && kServerSpaces[i] != space) ++i;
  return i;
}

void RocksDbStore::add(rocksdb::WriteBatch& to, const Batch& batch, const Mutation& mutation) {
  const std::size_t space = index_of(mutation.space);
  auto* family = database_->families[space];
  const Row& row = mutation.row;
  const std::string key = stored_key(batch.partition, row.key);
  switch (mutation.kind) {
    case Mutation::Kind::kPut: to.Put(family, key, stored_value(row.expires, row.value)); return;
    case Mutation::Kind::kErase: to.Delete(family, key); return;
    case Mutation::Kind::kEraseRange: {
      const std::string end = mutation.key_end.empty()
                                  ? partition_end(batch.partition)
                                  : stored_key(batch.partition, mutation.key_end);
      if (key < end) to.DeleteRange(family, key, end);
      return;
    }
  }
}

bool RocksDbStore::disk_has_room() const {
  struct statvfs disk{};
  if (statvfs(directory_.c_str(), &disk) != 0) return true;  // then RocksDB will tell
  return disk.f_bavail * disk.f_frsize >= kDiskReserve;
}

rocksdb::Status RocksDbStore::try_write(std::span<const Batch> batches, Durability durability) {
  rocksdb::WriteBatch all;
  for (const Batch& batch : batches) {
    for (const Mutation& mutation : batch.mutations) add(all, batch, mutation);
  }
  rocksdb::WriteOptions options;
  options.sync = durability == Durability::kSafe;
  const auto status = database_->db->Write(options, &all);
  // After the write, so that an expire() at the same time does not miss it for good.
  for (const Batch& batch : batches) {
    for (const Mutation& mutation : batch.mutations) changed_[index_of(mutation.space)] = true;
  }
  return status;
}

Result<void> RocksDbStore::write(std::span<const Batch> batches, Durability durability) {
  bool puts = false;
  for (const Batch& batch : batches) {
    GODWIT_TRY(ports::check_batch(batch));
    for (const Mutation& mutation : batch.mutations) {
      if (index_of(mutation.space) == kSpaces) return fail(kUnknownSpace);
      puts = puts || mutation.kind == Mutation::Kind::kPut;
    }
  }
  // Twice, because the failure may be an old one. Repeating is harmless, whatever became of the
  // first try.
  Error error = kDiskFull;
  for (int tries = 0; tries < 2; ++tries) {
    if (puts && !disk_has_room()) return fail(kDiskFull);
    const auto lock = use(Purpose::kWrite);
    if (!lock) return fail(lock.error());
    const auto status = try_write(batches, durability);
    if (status.ok()) return {};
    failed_ = true;
    error = error_of(status);
  }
  return fail(error);
}

Result<std::vector<Row>> RocksDbStore::scan(const Scan& scan) {
  if (scan.partitions) return partitions(scan);
  const std::size_t space = index_of(scan.space);
  if (space == kSpaces) return fail(kUnknownSpace);
  std::vector<Row> rows;
  const std::string first = stored_key(scan.partition, scan.first);
  const std::string end =
      scan.end.empty() ? partition_end(scan.partition) : stored_key(scan.partition, scan.end);
  if (first >= end) return rows;
  const auto lock = use(Purpose::kRead);
  if (!lock) return fail(lock.error());
  const rocksdb::Slice lower(first), upper(end);
  rocksdb::ReadOptions options;
  options.iterate_lower_bound = &lower;
  options.iterate_upper_bound = &upper;
  options.prefix_same_as_start = !scan.reverse;
  options.total_order_seek = scan.reverse;  // it begins in the next partition
  const std::unique_ptr<rocksdb::Iterator> at(
      database_->db->NewIterator(options, database_->families[space]));
  const Instant now = filter_.now();
  if (scan.reverse) at->SeekToLast();
  else at->Seek(lower);
  while (rows.size() < scan.limit && at->Valid()) {
    const auto parsed = parse_value(at->value().ToStringView());
    if (!parsed) return fail(kDamaged);
    if (parsed->expires > now) {
      rows.push_back(
          {to_bytes(row_key(at->key().ToStringView())), to_bytes(parsed->value), parsed->expires});
    }
    if (scan.reverse) at->Prev();
    else at->Next();
  }
  if (!at->status().ok()) return fail(error_of(at->status()));
  return rows;
}

// Rows lie by the length of their partition's name, so the range is checked on each.
Result<std::vector<Row>> RocksDbStore::partitions(const Scan& scan) {
  const std::size_t space = index_of(scan.space);
  if (space == kSpaces) return fail(kUnknownSpace);
  const auto lock = use(Purpose::kRead);
  if (!lock) return fail(lock.error());
  rocksdb::ReadOptions options;
  options.total_order_seek = true;
  const std::unique_ptr<rocksdb::Iterator> at(
      database_->db->NewIterator(options, database_->families[space]));
  const Instant now = filter_.now();
  std::vector<Row> found;
  at->SeekToFirst();
  while (found.size() < scan.limit && at->Valid()) {
    const auto parsed = parse_value(at->value().ToStringView());
    if (!parsed) return fail(kDamaged);
    if (parsed->expires <= now) {
      at->Next();
      continue;
    }
    Bytes partition = to_bytes(partition_of(at->key().ToStringView()));
    at->Seek(partition_end(partition));
    if (partition < scan.first || (!scan.end.empty() && partition >= scan.end)) continue;
    found.push_back({std::move(partition), {}});
  }
  if (!at->status().ok()) return fail(error_of(at->status()));
  return found;
}

Result<std::uint64_t> RocksDbStore::count(Space space) {
  const std::size_t index = index_of(space);
  if (index == kSpaces) return fail(kUnknownSpace);
  const auto lock = use(Purpose::kRead);
  if (!lock) return fail(lock.error());
  rocksdb::ReadOptions options;
  options.fill_cache = false;
  options.total_order_seek = true;
  const std::unique_ptr<rocksdb::Iterator> at(
      database_->db->NewIterator(options, database_->families[index]));
  const Instant now = filter_.now();
  std::uint64_t rows = 0;
  for (at->SeekToFirst(); at->Valid(); at->Next()) {
    const auto parsed = parse_value(at->value().ToStringView());
    if (parsed && parsed->expires > now) ++rows;
  }
  if (!at->status().ok()) return fail(error_of(at->status()));
  return rows;
}

// Erased octets lie in three places: the write-ahead log, which goes once all memtables are on
// disk; the files of their space, which a compaction rewrites; and files no longer referred to,
// which are unlinked in the background unless one asks.
Result<void> RocksDbStore::expire(Instant now) {
  set_now(now);
  const auto lock = use(Purpose::kWrite);
  if (!lock) return fail(lock.error());
  rocksdb::DB& db = *database_->db;
  rocksdb::Status status = db.Flush({}, database_->families);
  rocksdb::CompactRangeOptions whole;
  whole.exclusive_manual_compaction = false;
  whole.bottommost_level_compaction = rocksdb::BottommostLevelCompaction::kForceOptimized;
  for (std::size_t i = 0; i < kSpaces && status.ok(); ++i) {
    if (!changed_[i].exchange(false)) continue;
    status = db.CompactRange(whole, database_->families[i], nullptr, nullptr);
    if (!status.ok()) changed_[i] = true;
  }
  if (status.ok()) status = db.DisableFileDeletions();
  if (status.ok()) status = db.EnableFileDeletions(true);  // unlinks now what is unused
  if (status.ok()) return {};
  failed_ = true;
  return fail(error_of(status));
}

}  // namespace

ports::Opened<std::unique_ptr<ports::Store>> open_rocksdb_store(const std::string& directory) {
  auto store = std::make_unique<RocksDbStore>(directory);
  const auto status = store->open();
  if (status.ok()) return store;
  if (status.IsNoSpace()) {
    return ports::cannot_open(
        Code::kFull, "the disk is full, so " + directory + " cannot be opened: free some space");
  }
  if (status.IsCorruption()) {
    return ports::cannot_open(Code::kCorrupt, "the store in " + directory +
                                                  " is damaged: move it away and restore a backup");
  }
  if (status.IsInvalidArgument()) {
    return ports::cannot_open(Code::kUnsupported, "the store in " + directory +
                                                      " was written by another version of godwit: "
                                                      "use that version");
  }
  const std::string reason = status.ToString();
  if (reason.contains("While lock file") || reason.contains("lock hold by current process")) {
    return ports::cannot_open(Code::kConflict, "another process has " + directory +
                                                   " open: stop it, or use another directory");
  }
  return ports::cannot_open(Code::kIo, directory +
                                           " cannot be opened: check that it is a "
                                           "directory which you may read and write");
}

}  // namespace godwit::adapters
