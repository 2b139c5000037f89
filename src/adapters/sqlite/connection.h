// SQLite behind two classes that clean up after themselves. Only this folder's .cc files include
// it.
#pragma once

#include <sqlite3.h>

#include <memory>
#include <string>

#include "adapters/sqlite/sqlite_store.h"

namespace godwit::adapters {

// What a failed call means to the store's owner. `connection` is where it happened.
Error error_of(sqlite3* connection);

// A prepared statement, for one use at a time: bind in order, step, reset.
class Statement {
 public:
  Statement(sqlite3* connection, const std::string& sql);
  Statement(const Statement&) = delete;
  Statement& operator=(const Statement&) = delete;
  ~Statement() { sqlite3_finalize(statement_); }

  // Bound octets are borrowed until reset().
  Statement& bind(ByteView octets);
  Statement& bind_text(ByteView utf8);  // borrowed, too
  Statement& bind(std::int64_t integer);
  Statement& bind_null();

  bool prepared() const { return statement_ != nullptr; }
  bool step();   // true: there is a row. After false, failed() tells an error from the end
  bool failed() const { return failed_; }
  void reset();  // ready to be bound again
  // Binds nothing more, runs to the end, resets. False when that failed.
  bool run();

  Bytes octets(int column) const;
  std::int64_t integer(int column) const { return sqlite3_column_int64(statement_, column); }
  bool is_null(int column) const { return sqlite3_column_type(statement_, column) == SQLITE_NULL; }

 private:
  sqlite3_stmt* statement_ = nullptr;
  int bound_ = 0;
  bool failed_ = false;
};

struct CloseConnection {
  void operator()(sqlite3* connection) const { sqlite3_close_v2(connection); }
};
using Connection = std::unique_ptr<sqlite3, CloseConnection>;

// True when all of `sql` ran.
bool execute(sqlite3* connection, const char* sql);

// Opens or creates an encrypted file for this process alone; touches it, so that a wrong key shows.
// `out` is set even when the result is an error. kCorrupt stands for a wrong key, too.
Result<void> open_encrypted(const std::string& path, StoreKey key, Connection& out);

}  // namespace godwit::adapters
