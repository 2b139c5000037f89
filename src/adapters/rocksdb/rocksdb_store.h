// The Store of a server on one machine, on RocksDB: a column family per space.
//
// Invariants beyond the contract of ports/store.h:
//   * write() is one WriteBatch for all of its batches: all of them are stored, or none;
//   * after expire() the octets of what was erased or replaced or has expired are nowhere in the
//     directory. It rewrites each space that has changed: call it every hour, not every second;
//   * a full disk is an error of the writes that met it, not of the store: once there is room,
//     the next write succeeds, without a restart. Puts are refused while some MiB are left, so
//     that what is delivered can still be erased.
//
// Small by choice: an idle store takes a few MiB, and what it buffers is bounded.
#pragma once

#include <memory>
#include <string>

#include "ports/opened.h"
#include "ports/store.h"

namespace godwit::adapters {

// Opens the store in `directory`, or creates it there. One process may have it open at a time.
// kConflict: another one has. kCorrupt: the files are damaged. kUnsupported: another version of
// godwit wrote them. kFull, kIo: the disk refuses.
ports::Opened<std::unique_ptr<ports::Store>> open_rocksdb_store(const std::string& directory);

}  // namespace godwit::adapters
