#include "adapters/sqlite/connection.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace godwit::adapters {

Error error_of(sqlite3* connection) {
  switch (sqlite3_errcode(connection)) {
    case SQLITE_FULL: return {Code::kFull, "the disk is full: free some space, then try again"};
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB: return {Code::kCorrupt, "the store is damaged: restore a backup"};
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return {Code::kConflict, "another process has the store open: close it first"};
    default: break;
  }
  if (sqlite3_system_errno(connection) == ENOSPC) {
    return {Code::kFull, "the disk is full: free some space, then try again"};
  }
  return {Code::kIo, "the store cannot be used: check its directory and the disk"};
}

Statement::Statement(sqlite3* connection, const std::string& sql) {
  failed_ = sqlite3_prepare_v3(connection, sql.c_str(), static_cast<int>(sql.size()),
                               SQLITE_PREPARE_PERSISTENT, &statement_, nullptr) != SQLITE_OK;
}

Statement& Statement::bind(ByteView octets) {
  // A null pointer would bind NULL; no octets are a value all the same.
  const void* data = octets.empty() ? "" : static_cast<const void*>(octets.data());
  failed_ |=
      sqlite3_bind_blob64(statement_, ++bound_, data, octets.size(), SQLITE_STATIC) != SQLITE_OK;
  return *this;
}

Statement& Statement::bind_text(ByteView utf8) {
  failed_ |= sqlite3_bind_text64(statement_, ++bound_, reinterpret_cast<const char*>(utf8.data()),
                                 utf8.size(), SQLITE_STATIC, SQLITE_UTF8) != SQLITE_OK;
  return *this;
}

Statement& Statement::bind(std::int64_t integer) {
  failed_ |= sqlite3_bind_int64(statement_, ++bound_, integer) != SQLITE_OK;
  return *this;
}

Statement& Statement::bind_null() {
  failed_ |= sqlite3_bind_null(statement_, ++bound_) != SQLITE_OK;
  return *this;
}

bool Statement::step() {
  if (failed_) return false;
  const int status = sqlite3_step(statement_);
  failed_ = status != SQLITE_ROW && status != SQLITE_DONE;
  return status == SQLITE_ROW;
}

void Statement::reset() {
  sqlite3_reset(statement_);
  sqlite3_clear_bindings(statement_);
  bound_ = 0;
  failed_ = statement_ == nullptr;
}

bool Statement::run() {
  while (step()) {
  }
  const bool done = !failed_;
  reset();
  return done;
}

Bytes Statement::octets(int column) const {
  const auto* data = static_cast<const std::uint8_t*>(sqlite3_column_blob(statement_, column));
  return {data, data + sqlite3_column_bytes(statement_, column)};
}

bool execute(sqlite3* connection, const char* sql) {
  return sqlite3_exec(connection, sql, nullptr, nullptr, nullptr) == SQLITE_OK;
}

Result<void> open_encrypted(const std::string& path, StoreKey key, Connection& out) {
  // SQLite would create it readable by others; its log takes the file's mode.
  const int fd = ::open(path.c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0600);
  if (fd >= 0) close(fd);
  sqlite3* connection = nullptr;
  const int opened = sqlite3_open_v2(path.c_str(), &connection, SQLITE_OPEN_READWRITE, nullptr);
  out.reset(connection);
  if (opened != SQLITE_OK) return fail(error_of(connection));

  ByteArray<36> raw = {'r', 'a', 'w', ':'};  // no derivation: the key is random already
  std::ranges::copy(key, raw.begin() + 4);
  // AEGIS-256 authenticates each page, and takes half of ChaCha20's time where the CPU has AES.
  const bool keyed = execute(connection, "PRAGMA cipher = 'aegis'") &&
                     sqlite3_key_v2(connection, "main", raw.data(), raw.size()) == SQLITE_OK;
  explicit_bzero(raw.data(), raw.size());
  if (!keyed || !execute(connection,
                         "PRAGMA locking_mode = EXCLUSIVE;"
                         "PRAGMA secure_delete = ON;"
                         "PRAGMA auto_vacuum = INCREMENTAL;"
                         "PRAGMA cache_size = -4096;"
                         "BEGIN EXCLUSIVE; COMMIT;"
                         "SELECT count(*) FROM sqlite_schema")) {
    return fail(error_of(connection));
  }
  return {};
}

}  // namespace godwit::adapters
