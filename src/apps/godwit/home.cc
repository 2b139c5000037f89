#include "apps/godwit/home.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <fstream>

#include "base/codec.h"
#include "crypto/aead.h"
#include "runtime/toml.h"

namespace godwit::cli {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kFormat = "godwit home 1\n";
constexpr std::size_t kSealed = 32 + crypto::kGcmTag;

// The file `key`. Exactly one of the two keys is there.
struct KeyFile {
  Bytes plain;                // the store's key
  Bytes sealed;               // the same, AES-256-GCM under the passphrase's key, nonce zero:
  ByteArray<16> salt{};       // the salt is fresh for every file, so no key seals twice
  std::uint32_t passes = 0;
  std::uint32_t memory_kib = 0;
  static void fields(auto& m, auto& field) {
    field(1, m.plain, 32);
    field(2, m.sealed, kSealed);
    field(3, m.salt);
    field(4, m.passes);
    field(5, m.memory_kib);
  }
};

constexpr std::uint32_t kMaxMemoryKib = 4 * 1024 * 1024;  // a damaged file must not take it all
constexpr std::uint32_t kMaxPasses = 64;
constexpr ByteArray<crypto::kGcmNonce> kNonce{};
constexpr std::string_view kPurpose = "godwit store key 1";

const char* environment(const char* name) {
  const char* value = std::getenv(name);
  return value != nullptr && *value != '\0' ? value : nullptr;
}

// At most `limit` octets of a file; nullopt when there is none.
Result<std::optional<Bytes>> read_file(const fs::path& path, std::size_t limit) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) {
    if (errno == ENOENT) return std::nullopt;
    return fail(Code::kIo, "a file of the home directory cannot be read: check its permissions");
  }
  Bytes octets(limit);
  const ssize_t got = ::read(fd, octets.data(), octets.size());
  ::close(fd);
  if (got < 0) return fail(Code::kIo, "a file of the home directory cannot be read");
  octets.resize(static_cast<std::size_t>(got));
  return std::optional<Bytes>(std::move(octets));
}

bool write_all(int fd, ByteView octets) {
  while (!octets.empty()) {
    const ssize_t wrote = ::write(fd, octets.data(), octets.size());
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote <= 0) return false;
    octets = octets.subspan(static_cast<std::size_t>(wrote));
  }
  return true;
}

// Makes the file with these octets, durably, or leaves the one that another process made first.
Result<void> create_file(const fs::path& path, ByteView octets) {
  fs::path temporary = path;
  temporary += "." + std::to_string(::getpid());
  const int fd = ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  bool done = fd >= 0 && write_all(fd, octets) && ::fsync(fd) == 0;
  if (fd >= 0) ::close(fd);
  if (done) done = ::link(temporary.c_str(), path.c_str()) == 0 || errno == EEXIST;
  ::unlink(temporary.c_str());
  const int directory = ::open(path.parent_path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (directory >= 0) {
    ::fsync(directory);
    ::close(directory);
  }
  if (!done) return fail(Code::kIo, "the home directory cannot be written: is the disk full?");
  return {};
}

}  // namespace

Result<fs::path> Home::locate(const std::string& flag) {
  if (!flag.empty()) return fs::absolute(flag);
  if (const char* home = environment("GODWIT_HOME")) return fs::absolute(home);
  if (const char* data = environment("XDG_DATA_HOME")) return fs::absolute(data) / "godwit";
  if (const char* home = environment("HOME")) {
    return fs::absolute(home) / ".local" / "share" / "godwit";
  }
  return fail(Code::kInvalid, "say where keys and messages shall live: --home DIR");
}

Result<Home> Home::open(const fs::path& directory) {
  Home home(directory);
  std::error_code error;
  if (!fs::exists(directory, error)) {
    fs::create_directories(directory.parent_path(), error);
    if (::mkdir(directory.c_str(), 0700) != 0 && errno != EEXIST) {
      return fail(Code::kIo, "the home directory cannot be made: see --home");
    }
  }
  struct stat facts{};
  if (::stat(directory.c_str(), &facts) != 0 || !S_ISDIR(facts.st_mode)) {
    return fail(Code::kIo, "the home is not a directory: see --home");
  }
  if (facts.st_uid != ::geteuid()) {
    return fail(Code::kForbidden, "the home directory belongs to somebody else: see --home");
  }
  if ((facts.st_mode & 077) != 0) {
    // An empty directory made by hand becomes a home; one with files in it may be a mistake.
    if (!fs::is_empty(directory, error) && !fs::exists(directory / "FORMAT", error)) {
      return fail(Code::kForbidden,
                  "the home directory holds other things and is open to others: "
                  "name an empty one");
    }
    ::chmod(directory.c_str(), 0700);
  }
  auto format = read_file(directory / "FORMAT", 64);
  if (!format) return fail(format.error());
  if (!*format) {
    GODWIT_TRY(create_file(directory / "FORMAT", view_of(kFormat)));
  } else if (text_of(**format) != kFormat) {
    return fail(Code::kUnsupported, "this home was written by a newer godwit: use that one");
  }
  return home;
}

Result<std::optional<Bytes>> Home::read_key() const { return read_file(directory_ / "key", 4096); }

bool Home::needs_passphrase() const {
  const auto octets = read_key();
  if (!octets || !*octets) return false;
  const auto file = decode<KeyFile>(**octets);
  return file && !file->sealed.empty();
}

Result<crypto::Key> Home::unlock(const std::optional<crypto::SecretBytes>& passphrase,
                                 Entropy& entropy, crypto::Argon2Cost cost) const {
  auto octets = read_key();
  if (!octets) return fail(octets.error());
  if (!*octets) {
    KeyFile fresh;
    crypto::Key key;
    entropy.fill(key.mutable_view());
    if (passphrase) {
      entropy.fill(fresh.salt);
      fresh.passes = cost.passes;
      fresh.memory_kib = cost.memory_kib;
      const auto outer = crypto::argon2id(passphrase->view(), fresh.salt, cost);
      if (!outer) return fail(outer.error());
      crypto::aes_gcm_seal(outer->view(), kNonce, view_of(kPurpose), key.view(), fresh.sealed);
    } else {
      fresh.plain = to_bytes(ByteView(key.view()));
    }
    GODWIT_TRY(create_file(directory_ / "key", encode(fresh)));
    octets = read_key();  // another process may have been first
    if (!octets || !*octets) return fail(Code::kIo, "the key file cannot be read back");
  }
  auto file = decode<KeyFile>(**octets);
  if (!file || file->plain.empty() == file->sealed.empty() || file->passes > kMaxPasses ||
      file->memory_kib > kMaxMemoryKib) {
    return fail(Code::kCorrupt, "the file `key` is damaged: restore it from a backup");
  }
  if (file->sealed.empty()) {
    if (passphrase) {
      return fail(Code::kUnauthenticated,
                  "this home has no passphrase, yet one was given: unset GODWIT_PASSPHRASE");
    }
    auto key = crypto::Key::parse(file->plain);
    crypto::wipe(file->plain);
    if (!key) return fail(Code::kCorrupt, "the file `key` is damaged: restore it from a backup");
    return std::move(*key);
  }
  if (!passphrase) {
    return fail(Code::kUnauthenticated,
                "this home is locked: give its passphrase in "
                "GODWIT_PASSPHRASE or with --passphrase-file");
  }
  const auto outer =
      crypto::argon2id(passphrase->view(), file->salt, {file->passes, file->memory_kib});
  if (!outer) return fail(outer.error());
  Bytes opened;
  if (!crypto::aes_gcm_open(outer->view(), kNonce, view_of(kPurpose), file->sealed, opened)) {
    return fail(Code::kUnauthenticated, "wrong passphrase");
  }
  auto key = crypto::Key::parse(opened);
  crypto::wipe(opened);
  if (!key) return fail(Code::kCorrupt, "the file `key` is damaged: restore it from a backup");
  return std::move(*key);
}

Result<std::string> Home::configured_server() const {
  const fs::path path = directory_ / "godwit.toml";
  std::error_code error;
  if (!fs::exists(path, error)) return std::string();
  const toml::parse_result parsed = toml::parse_file(path.string());
  if (!parsed) {
    return fail(Code::kInvalid, "godwit.toml in the home directory is not valid TOML");
  }
  return parsed["server"].value_or(std::string());
}

Result<crypto::SecretBytes> read_passphrase_file(const std::string& path) {
  auto octets = read_file(path, 4096);
  if (!octets || !*octets) return fail(Code::kIo, "the passphrase file cannot be read");
  const auto end = std::ranges::find(**octets, '\n');
  crypto::SecretBytes line(Bytes((*octets)->begin(), end));
  crypto::wipe(**octets);
  return line;
}

}  // namespace godwit::cli
