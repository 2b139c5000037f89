// The Store of a client: one SQLite file, every page of it encrypted and authenticated.
//
// Invariants beyond the contract of ports/store.h:
//   * write() is one transaction for all of its batches: all of them are stored, or none;
//   * nothing is on disk in clear, temporary files included; erased octets are overwritten;
//   * a full disk is an error of the writes that met it: once there is room, the next succeeds.
//
// Beside `path` lie path-wal (SQLite's log) and path-key, a tiny file under the same key: it tells
// a wrong key from a damaged store.
#pragma once

#include <memory>
#include <span>
#include <string>

#include "ports/opened.h"
#include "ports/store.h"

namespace godwit::adapters {

using StoreKey = std::span<const std::uint8_t, 32>;

// Opens the store in the file `path`, or creates it there. One process may have it open at a time.
// The key is copied into SQLite, which clears it when the store is destroyed.
//   kUnauthenticated  the key is not the one it was created with
//   kCorrupt          the key is right, and the file is damaged, cut or missing
//   kConflict         another process has it open
//   kUnsupported      another version of godwit wrote it
//   kFull, kIo        the disk refuses
ports::Opened<std::unique_ptr<ports::Store>> open_sqlite_store(const std::string& path,
                                                               StoreKey key);

}  // namespace godwit::adapters
