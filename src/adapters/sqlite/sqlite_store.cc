#include "adapters/sqlite/sqlite_store.h"

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <map>
#include <mutex>
#include <utility>

#include "adapters/sqlite/connection.h"

namespace godwit::adapters {
namespace {

using ports::Batch;
using ports::cannot_open;
using ports::Durability;
using ports::kClientSpaces;
using ports::Mutation;
using ports::Opened;
using ports::Row;
using ports::Scan;
using ports::Space;

constexpr std::int64_t kFormat = 1;
constexpr Error kUnknownSpace = {Code::kInvalid, "a client's store has no such space"};

// The statements of one space; a range with or without an end, so that each is one index walk.
enum class Query : std::uint8_t {
  kPut,
  kErase,
  kEraseRange,
  kEraseRest,
  kScanRange,
  kScanRest,
  kScanRangeDown,
  kScanRestDown,
  kExpire,
  kCount,
  kPartitions,
  kIndex,  // of the words: kSearch only
  kForget,
  kForgetRange,
  kMatch,
};

std::string sql_of(Query query, Space space) {
  const std::string table(ports::space_name(space));
  const std::string rest = " WHERE partition = ? AND key >= ?", range = rest + " AND key < ?";
  const std::string scan = "SELECT key, value, expires FROM " + table;
  const std::string live = " AND (expires IS NULL OR expires > ?) ORDER BY key ";
  switch (query) {
    case Query::kPut: return "INSERT OR REPLACE INTO " + table + " VALUES (?, ?, ?, ?)";
    case Query::kErase: return "DELETE FROM " + table + " WHERE partition = ? AND key = ?";
    case Query::kEraseRange: return "DELETE FROM " + table + range;
    case Query::kEraseRest: return "DELETE FROM " + table + rest;
    case Query::kScanRange: return scan + range + live + "LIMIT ?";
    case Query::kScanRest: return scan + rest + live + "LIMIT ?";
    case Query::kScanRangeDown: return scan + range + live + "DESC LIMIT ?";
    case Query::kScanRestDown: return scan + rest + live + "DESC LIMIT ?";
    case Query::kExpire: return "DELETE FROM " + table + " WHERE expires <= ?";
    case Query::kCount:
      return "SELECT count(*) FROM " + table + " WHERE expires IS NULL OR expires > ?";
    case Query::kPartitions:
      return "SELECT DISTINCT partition, x'', NULL FROM " + table +
             " WHERE (expires IS NULL OR expires > ?) AND partition >= ?"
             " AND (? OR partition < ?) ORDER BY partition LIMIT ?";
    case Query::kIndex: return "INSERT INTO words(rowid, text) VALUES (?, ?)";
    case Query::kForget: return "DELETE FROM words WHERE rowid = ?";
    case Query::kForgetRange: return "DELETE FROM words WHERE rowid >= ? AND rowid < ?";
    case Query::kMatch:
      return "SELECT rowid FROM words WHERE words MATCH ? ORDER BY rowid DESC LIMIT ?";
  }
  return {};
}

// The number that a row of kSearch has in the index: how its key begins.
std::int64_t number_of(ByteView key) {
  return key.size() < 8 ? 0 : static_cast<std::int64_t>(get_be64(key.first(8)) & INT64_MAX);
}

class SqliteStore final : public ports::Store {
 public:
  explicit SqliteStore(Connection connection) : connection_(std::move(connection)) {}
  ~SqliteStore() override { statements_.clear(); }

  Result<void> write(std::span<const Batch> batches, Durability durability) override;
  Result<std::vector<Row>> scan(const Scan& scan) override;
  Result<std::vector<Row>> match(ByteView partition, std::span<const std::string> words,
                                 std::size_t limit) override;
  Result<void> expire(Instant now) override;
  Result<std::uint64_t> count(Space space) override;
  void set_now(Instant now) override { now_ = now.ms; }

 private:
  static bool has(Space space);
  Statement& statement(Query query, Space space);
  bool set_durability(Durability durability);
  bool apply(const Bytes& partition, const Mutation& mutation);
  bool index(const Mutation& mutation);
  // Runs `work` as one transaction; undoes it when it fails.
  template <typename Work>
  Result<void> transaction(Work work);

  std::atomic<std::int64_t> now_{0};
  std::mutex mutex_;  // guards all below: SQLite's connection is for one thread at a time
  Connection connection_;
  std::map<std::pair<Query, Space>, Statement> statements_;
  Durability durability_ = Durability::kSafe;
};

bool SqliteStore::has(Space space) {
  for (const Space ours : kClientSpaces) {
    if (ours == space) return true;
  }
  return false;
}

Statement& SqliteStore::statement(Query query, Space space) {
  const std::pair name{query, space};
  const auto found = statements_.find(name);
  if (found != statements_.end() && found->second.prepared()) return found->second;
  if (found != statements_.end()) statements_.erase(found);  // the disk had refused: once more
  return statements_.try_emplace(name, connection_.get(), sql_of(query, space)).first->second;
}

bool SqliteStore::set_durability(Durability durability) {
  if (durability == durability_) return true;
  durability_ = durability;
  return execute(connection_.get(), durability == Durability::kSafe
                                        ? "PRAGMA synchronous = FULL"
                                        : "PRAGMA synchronous = NORMAL");
}

// Keeps the index of words beside the rows of kSearch. What is taken out of it is overwritten.
bool SqliteStore::index(const Mutation& mutation) {
  const std::int64_t number = number_of(mutation.row.key);
  if (mutation.kind == Mutation::Kind::kEraseRange) {
    const std::int64_t end = mutation.key_end.empty() ? INT64_MAX : number_of(mutation.key_end);
    return statement(Query::kForgetRange, Space::kSearch).bind(number).bind(end).run();
  }
  if (!statement(Query::kForget, Space::kSearch).bind(number).run()) return false;
  if (mutation.kind == Mutation::Kind::kErase) return true;
  return statement(Query::kIndex, Space::kSearch).bind(number).bind_text(mutation.row.value).run();
}

bool SqliteStore::apply(const Bytes& partition, const Mutation& mutation) {
  const Row& row = mutation.row;
  if (mutation.space == Space::kSearch && !index(mutation)) return false;
  switch (mutation.kind) {
    case Mutation::Kind::kPut: {
      Statement& put = statement(Query::kPut, mutation.space);
      put.bind(partition).bind(row.key).bind(row.value);
      if (row.expires == kNever) put.bind_null();
      else put.bind(row.expires.ms);
      return put.run();
    }
    case Mutation::Kind::kErase:
      return statement(Query::kErase, mutation.space).bind(partition).bind(row.key).run();
    case Mutation::Kind::kEraseRange: {
      const bool rest = mutation.key_end.empty();
      Statement& erase = statement(rest ? Query::kEraseRest : Query::kEraseRange, mutation.space);
      erase.bind(partition).bind(row.key);
      if (!rest) erase.bind(mutation.key_end);
      return erase.run();
    }
  }
  return false;
}

template <typename Work>
Result<void> SqliteStore::transaction(Work work) {
  if (execute(connection_.get(), "BEGIN IMMEDIATE") && work() &&
      execute(connection_.get(), "COMMIT")) {
    return {};
  }
  const Error error = error_of(connection_.get());
  // Some failures have undone it already.
  if (sqlite3_get_autocommit(connection_.get()) == 0) execute(connection_.get(), "ROLLBACK");
  return fail(error);
}

Result<void> SqliteStore::write(std::span<const Batch> batches, Durability durability) {
  for (const Batch& batch : batches) {
    GODWIT_TRY(ports::check_batch(batch));
    for (const Mutation& mutation : batch.mutations) {
      if (!has(mutation.space)) return fail(kUnknownSpace);
    }
  }
  const std::lock_guard lock(mutex_);
  if (!set_durability(durability)) return fail(error_of(connection_.get()));
  return transaction([&] {
    for (const Batch& batch : batches) {
      for (const Mutation& mutation : batch.mutations) {
        if (!apply(batch.partition, mutation)) return false;
      }
    }
    return true;
  });
}

Result<std::vector<Row>> SqliteStore::scan(const Scan& scan) {
  if (!has(scan.space)) return fail(kUnknownSpace);
  const bool rest = scan.end.empty();
  const Query up = rest ? Query::kScanRest : Query::kScanRange;
  const Query down = rest ? Query::kScanRestDown : Query::kScanRangeDown;
  const std::size_t limit = std::min<std::size_t>(scan.limit, INT64_MAX);

  const std::lock_guard lock(mutex_);
  const Query query = scan.partitions ? Query::kPartitions : scan.reverse ? down : up;
  Statement& rows = statement(query, scan.space);
  if (scan.partitions) {
    rows.bind(now_).bind(scan.first).bind(std::int64_t{rest}).bind(scan.end);
  } else {
    rows.bind(scan.partition).bind(scan.first);
    if (!rest) rows.bind(scan.end);
    rows.bind(now_);
  }
  rows.bind(static_cast<std::int64_t>(limit));
  std::vector<Row> found;
  while (rows.step()) {
    found.push_back(
        {rows.octets(0), rows.octets(1), rows.is_null(2) ? kNever : Instant{rows.integer(2)}});
  }
  const bool failed = rows.failed();
  const Error error = error_of(connection_.get());
  rows.reset();
  if (failed) return fail(error);
  return found;
}

Result<std::vector<Row>> SqliteStore::match(ByteView partition, std::span<const std::string> words,
                                            std::size_t limit) {
  std::string query;
  for (const std::string& word : words) {
    if (word.find('"') != std::string::npos)
      return fail(Code::kInvalid, "a word has a quote in it");
    query += '"' + word + "\"* ";
  }
  std::vector<Row> found;
  if (words.empty()) return found;
  std::vector<std::uint64_t> numbers;
  {
    const std::lock_guard lock(mutex_);
    Statement& rows = statement(Query::kMatch, Space::kSearch);
    rows.bind_text(view_of(query)).bind(static_cast<std::int64_t>(limit));
    while (rows.step()) numbers.push_back(static_cast<std::uint64_t>(rows.integer(0)));
    const bool failed = rows.failed();
    const Error error = error_of(connection_.get());
    rows.reset();
    if (failed) return fail(error);
  }
  for (const std::uint64_t number : numbers) {
    Bytes first, end;
    put_be64(first, number);
    put_be64(end, number + 1);
    auto row = scan({to_bytes(partition), Space::kSearch, std::move(first), std::move(end), 1});
    if (!row) return fail(row.error());
    if (!row->empty()) found.push_back(std::move(row->front()));
  }
  return found;
}

// Deleted rows are overwritten in the file by secure_delete; what the log still holds of them goes
// when it is copied into the file and cut.
Result<void> SqliteStore::expire(Instant now) {
  set_now(now);
  const std::lock_guard lock(mutex_);
  GODWIT_TRY(transaction([&] {
    for (const Space space : kClientSpaces) {
      if (!statement(Query::kExpire, space).bind(now.ms).run()) return false;
    }
    return true;
  }));
  if (!execute(connection_.get(), "PRAGMA incremental_vacuum; PRAGMA wal_checkpoint(TRUNCATE)")) {
    return fail(error_of(connection_.get()));
  }
  return {};
}

Result<std::uint64_t> SqliteStore::count(Space space) {
  if (!has(space)) return fail(kUnknownSpace);
  const std::lock_guard lock(mutex_);
  Statement& rows = statement(Query::kCount, space);
  rows.bind(now_);
  if (!rows.step()) {
    const Error error = error_of(connection_.get());
    rows.reset();
    return fail(error);
  }
  const std::int64_t counted = rows.integer(0);
  rows.reset();
  return static_cast<std::uint64_t>(counted);
}

// ---- opening

bool create_schema(sqlite3* connection) {
  std::string sql = "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; BEGIN IMMEDIATE;";
  for (const Space space : kClientSpaces) {
    const std::string table(ports::space_name(space));
    sql += "CREATE TABLE IF NOT EXISTS " + table +
           "(partition BLOB NOT NULL, key BLOB NOT NULL, value BLOB NOT NULL, expires INTEGER,"
           " PRIMARY KEY (partition, key)) WITHOUT ROWID;"
           "CREATE INDEX IF NOT EXISTS " +
           table + "_expires ON " + table + "(expires) WHERE expires IS NOT NULL;";
  }
  sql +=
      "CREATE VIRTUAL TABLE IF NOT EXISTS words USING fts5(text, detail=none, "
      "prefix='2 3', tokenize=ascii);"
      "INSERT INTO words(words, rank) VALUES ('secure-delete', 1);";
  sql += "PRAGMA user_version = " + std::to_string(kFormat) + "; COMMIT;";
  return execute(connection, sql.c_str());
}

// 0 when the file is new, -1 when it cannot be read.
std::int64_t format_of(sqlite3* connection) {
  Statement version(connection, "PRAGMA user_version");
  return version.step() ? version.integer(0) : -1;
}

bool exists(const std::string& path) {
  std::error_code error;
  return std::filesystem::file_size(path, error) > 0 && !error;
}

// The file beside the store that opens with the same key: written once, never changed.
std::string key_file(const std::string& path) { return path + "-key"; }
bool key_opens(const std::string& path, StoreKey key) {
  Connection connection;
  return exists(key_file(path)) && open_encrypted(key_file(path), key, connection).has_value();
}
bool write_key_file(const std::string& path, StoreKey key) {
  if (key_opens(path, key)) return true;
  std::error_code ignored;
  std::filesystem::remove(key_file(path), ignored);
  Connection connection;
  return open_encrypted(key_file(path), key, connection).has_value() &&
         execute(connection.get(), "PRAGMA user_version = 1");
}

std::unexpected<ports::OpenError> explain(const std::string& path, StoreKey key, Code code) {
  switch (code) {
    case Code::kCorrupt:
      if (key_opens(path, key)) {
        return cannot_open(code, path + " is damaged: move it away and restore a backup");
      }
      return cannot_open(Code::kUnauthenticated,
                         "the passphrase or key does not open this store: " + path);
    case Code::kConflict:
      return cannot_open(code, "another process has " + path + " open: close it first");
    case Code::kFull:
      return cannot_open(code,
                         "the disk is full, so " + path + " cannot be opened: free some space");
    default:
      return cannot_open(Code::kIo, path +
                                        " cannot be opened: check that its directory is there, "
                                        "and that you may read and write it");
  }
}

}  // namespace

Opened<std::unique_ptr<ports::Store>> open_sqlite_store(const std::string& path, StoreKey key) {
  if (!exists(path) && exists(key_file(path))) {
    return cannot_open(Code::kCorrupt, path + " is gone, and " + key_file(path) +
                                           " is there: restore both from a backup, or remove both");
  }
  Connection connection;
  if (const auto opened = open_encrypted(path, key, connection); !opened) {
    return explain(path, key, opened.error().code);
  }
  const std::int64_t format = format_of(connection.get());
  if (format > kFormat) {
    return cannot_open(Code::kUnsupported, path + " has format " + std::to_string(format) +
                                               ", and this version of godwit reads format " +
                                               std::to_string(kFormat) +
                                               ": use the version that wrote it");
  }
  if (!create_schema(connection.get())) {
    return explain(path, key, error_of(connection.get()).code);
  }
  if (!write_key_file(path, key)) return explain(path, key, Code::kIo);
  return std::make_unique<SqliteStore>(std::move(connection));
}

}  // namespace godwit::adapters
