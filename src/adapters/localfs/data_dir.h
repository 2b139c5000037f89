// DataDir: the one directory in which a program keeps everything.
//
//   FORMAT   "godwit server data, format 1": what wrote it, and in which layout
//   lock     held while the program runs; the process id of its holder
//
// Nobody but its owner may enter it (mode 0700). What else lies in it is its user's business.
#pragma once

#include <string>

#include "ports/opened.h"

namespace godwit::adapters {

class DataDir {
 public:
  enum class Kind : std::uint8_t { kServer, kClient };

  // Opens `path`, creates it with its parents when it is not there, and locks it for as long as
  // the DataDir lives. Errors name the path:
  //   kConflict     another process holds the lock (its process id is in the text)
  //   kUnsupported  another kind, or another format (both versions are in the text)
  //   kForbidden    others may enter it (the command that closes it is in the text)
  //   kFull, kIo    it cannot be created, read or written
  static ports::Opened<DataDir> open(const std::string& path, Kind kind);

  // Opens `path` with the lock of another process, which goes on holding it too. `lock` belongs to
  // the DataDir from here on. kConflict: it is the lock of another directory.
  static ports::Opened<DataDir> adopt(const std::string& path, Kind kind, int lock);
  // This process is the lock's only holder by now: says so in it.
  ports::Opened<void> claim() const;
  int lock_descriptor() const { return lock_; }

  DataDir(DataDir&& other) noexcept;
  DataDir& operator=(DataDir&&) = delete;
  ~DataDir();

  const std::string& path() const { return path_; }
  // `name` within the directory.
  std::string operator/(std::string_view name) const;

 private:
  DataDir(std::string path, int lock) : path_(std::move(path)), lock_(lock) {}
  std::string path_;
  int lock_;  // descriptor; the lock goes with it, however the process ends
};

}  // namespace godwit::adapters
