#include "adapters/localfs/data_dir.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <string_view>
#include <utility>

namespace godwit::adapters {
namespace {

using ports::cannot_open;
using ports::Opened;
using ports::OpenError;

constexpr int kFormat = 1;
constexpr std::size_t kSmallFile = 256;  // FORMAT and lock hold one short line

std::string_view kind_name(DataDir::Kind kind) {
  return kind == DataDir::Kind::kServer ? "server" : "client";
}
std::string format_line(DataDir::Kind kind, std::string_view format) {
  return "godwit " + std::string(kind_name(kind)) + " data, format " + std::string(format);
}

std::unexpected<OpenError> refused(const std::string& path, int error) {
  const Code code = error == ENOSPC || error == EDQUOT ? Code::kFull : Code::kIo;
  return cannot_open(code, path + " cannot be used: " + std::strerror(error));
}

// A descriptor that closes itself, unless it is released.
class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }
  int release() { return std::exchange(fd_, -1); }

 private:
  int fd_;
};

// The first line of a small file.
std::string read_line(int fd) {
  char octets[kSmallFile];
  const ssize_t size = pread(fd, octets, sizeof octets, 0);
  const std::string_view text(octets, size > 0 ? static_cast<std::size_t>(size) : 0);
  return std::string(text.substr(0, text.find('\n')));
}

Opened<void> create_private(const std::string& path) {
  std::error_code error;
  const auto parent = std::filesystem::path(path).parent_path();
  if (!parent.empty()) std::filesystem::create_directories(parent, error);
  if (error) return refused(parent.string(), error.value());
  if (mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) return refused(path, errno);
  struct stat status{};
  if (stat(path.c_str(), &status) != 0) return refused(path, errno);
  if (!S_ISDIR(status.st_mode)) return refused(path, ENOTDIR);
  if ((status.st_mode & 077) != 0) {
    return cannot_open(Code::kForbidden, path + " is open to other users: run chmod 700 " + path);
  }
  return {};
}

bool write_holder(int lock) {
  const std::string mine = std::to_string(getpid()) + "\n";
  return ftruncate(lock, 0) == 0 &&
         pwrite(lock, mine.data(), mine.size(), 0) == static_cast<ssize_t>(mine.size());
}

Opened<int> take_lock(const std::string& path) {
  const std::string file = path + "/lock";
  Descriptor lock(::open(file.c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0600));
  if (lock.get() < 0) return refused(file, errno);
  if (flock(lock.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) return refused(file, errno);
    const std::string holder = read_line(lock.get());
    return cannot_open(Code::kConflict, path + " is in use by process " +
                                            (holder.empty() ? "?" : holder) +
                                            ": stop that process first, or use another directory");
  }
  if (!write_holder(lock.get())) return refused(file, errno);
  return lock.release();
}

// Writes FORMAT so that it is there whole, or not at all.
Opened<void> write_format(const std::string& path, DataDir::Kind kind) {
  const std::string file = path + "/FORMAT", fresh = file + ".new";
  const std::string line = format_line(kind, std::to_string(kFormat)) + "\n";
  const Descriptor fd(::open(fresh.c_str(), O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600));
  const Descriptor directory(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (fd.get() < 0 || directory.get() < 0 ||
      ::write(fd.get(), line.data(), line.size()) != static_cast<ssize_t>(line.size()) ||
      fsync(fd.get()) != 0 || rename(fresh.c_str(), file.c_str()) != 0 ||
      fsync(directory.get()) != 0) {
    return refused(file, errno);
  }
  return {};
}

Opened<void> check_format(const std::string& path, DataDir::Kind kind) {
  const std::string file = path + "/FORMAT";
  const Descriptor fd(::open(file.c_str(), O_RDONLY | O_CLOEXEC));
  if (fd.get() < 0 && errno == ENOENT) return write_format(path, kind);
  if (fd.get() < 0) return refused(file, errno);
  const std::string found = read_line(fd.get());
  const std::string known = format_line(kind, std::to_string(kFormat));
  if (found == known) return {};
  const std::string prefix = format_line(kind, "");
  if (found.starts_with(prefix)) {
    return cannot_open(Code::kUnsupported,
                       path + " has format " + found.substr(prefix.size()) +
                           ", and this version of godwit reads format " + std::to_string(kFormat) +
                           ": use the version that wrote it, or another directory");
  }
  return cannot_open(Code::kUnsupported, path + " is not a godwit " + std::string(kind_name(kind)) +
                                             "'s data directory (its FORMAT file says \"" + found +
                                             "\"): use another directory");
}

}  // namespace

Opened<DataDir> DataDir::open(const std::string& path, Kind kind) {
  if (const auto made = create_private(path); !made) return std::unexpected(made.error());
  const auto lock = take_lock(path);
  if (!lock) return std::unexpected(lock.error());
  DataDir opened(path, *lock);
  if (const auto checked = check_format(path, kind); !checked) {
    return std::unexpected(checked.error());
  }
  return opened;
}

Opened<DataDir> DataDir::adopt(const std::string& path, Kind kind, int lock) {
  DataDir opened(path, lock);
  struct stat held{}, there{};
  if (fstat(lock, &held) != 0 || stat((path + "/lock").c_str(), &there) != 0 ||
      held.st_ino != there.st_ino || held.st_dev != there.st_dev) {
    return cannot_open(Code::kConflict, path +
                                            " is not the running server's data directory: a "
                                            "change of it takes a restart");
  }
  if (const auto checked = check_format(path, kind); !checked) {
    return std::unexpected(checked.error());
  }
  return opened;
}

Opened<void> DataDir::claim() const {
  if (!write_holder(lock_)) return refused(path_ + "/lock", errno);
  return {};
}

DataDir::DataDir(DataDir&& other) noexcept
    : path_(std::move(other.path_)), lock_(std::exchange(other.lock_, -1)) {}

DataDir::~DataDir() {
  if (lock_ >= 0) close(lock_);
}

std::string DataDir::operator/(std::string_view name) const {
  return path_ + "/" + std::string(name);
}

}  // namespace godwit::adapters
