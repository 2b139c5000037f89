// Home: the directory that holds one person's keys and messages. 0700, and nothing in it is
// readable by others.
//
//   FORMAT       the layout's version: one this program does not know is refused
//   key          what opens the store: a random key, sealed under the passphrase if there is one
//   store.db     everything else, encrypted
//   lock         held by the process that owns the store (host.h); godwit.sock reaches it
//   godwit.toml  optional, written by the person: server = "HOST:PORT"
//
// A wrong passphrase is found out from `key` alone: nothing else is opened or changed.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "base/entropy.h"
#include "base/result.h"
#include "crypto/password.h"
#include "crypto/secret.h"

namespace godwit::cli {

class Home {
 public:
  // --home, else $GODWIT_HOME, else $XDG_DATA_HOME/godwit, else ~/.local/share/godwit.
  static Result<std::filesystem::path> locate(const std::string& flag);
  // Makes the directory when it is not there. kIo: it cannot be made or used; kForbidden: others
  // may enter it; kUnsupported: written by a newer godwit.
  static Result<Home> open(const std::filesystem::path& directory);

  // The store's key; made at first use. kUnauthenticated: the passphrase is wrong or missing, or
  // one was given to a home that has none. `cost` is for a new key only.
  Result<crypto::Key> unlock(const std::optional<crypto::SecretBytes>& passphrase, Entropy& entropy,
                             crypto::Argon2Cost cost = {}) const;
  // True when a key exists and needs a passphrase.
  bool needs_passphrase() const;

  // `server` of godwit.toml; empty when it says nothing. kInvalid: it is not TOML.
  Result<std::string> configured_server() const;

  const std::filesystem::path& directory() const { return directory_; }
  std::filesystem::path store() const { return directory_ / "store.db"; }
  std::filesystem::path lock() const { return directory_ / "lock"; }
  std::filesystem::path socket() const { return directory_ / "godwit.sock"; }
  std::filesystem::path log() const { return directory_ / "godwit.log"; }

 private:
  explicit Home(std::filesystem::path directory) : directory_(std::move(directory)) {}
  Result<std::optional<Bytes>> read_key() const;

  std::filesystem::path directory_;
};

// The first line of the file, without its line feed. kIo: it cannot be read.
Result<crypto::SecretBytes> read_passphrase_file(const std::string& path);

}  // namespace godwit::cli
