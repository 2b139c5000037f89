// The exit codes of `godwit`, as docs/cli.md promises them. Never renumbered.
#pragma once

#include "base/result.h"

namespace godwit::cli {

enum Exit : int {
  kExitOk = 0,
  kExitInternal = 1,
  kExitUsage = 2,        // the command or its input is wrong: repeating it cannot help
  kExitRefused = 3,      // not registered, or the server said no
  kExitNotFound = 4,     // the number has no account
  kExitTimeout = 5,
  kExitUnreachable = 6,  // no connection to the server
  kExitStore = 7,        // the disk is full, or the store cannot be read
  kExitPassphrase = 8,
  kExitServerKey = 9,    // the server's key is not the pinned one
  kExitInterrupted = 130,
};

constexpr Exit exit_of(Code code) {
  switch (code) {
    case Code::kInvalid:
    case Code::kTooLarge: return kExitUsage;
    case Code::kNotFound: return kExitNotFound;
    case Code::kUnauthenticated:
    case Code::kForbidden:
    case Code::kConflict:
    case Code::kRateLimited:
    case Code::kExpired:
    case Code::kUnsupported: return kExitRefused;
    case Code::kUnavailable: return kExitUnreachable;
    case Code::kFull:
    case Code::kCorrupt:
    case Code::kIo: return kExitStore;
    case Code::kDuplicate: return kExitInternal;
  }
  return kExitInternal;
}

}  // namespace godwit::cli
