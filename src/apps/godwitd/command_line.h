// CommandLine: what `godwitd` was asked to do.
#pragma once

#include <string>

#include "runtime/config.h"

namespace godwit::godwitd {

// docs/operations.md explains them.
enum ExitCode : int {
  kExitDone = 0,
  kExitUsage = 2,
  kExitDataDir = 3,
  kExitCorrupt = 4,
  kExitListen = 5,
  kExitDiskFull = 6,
  kExitSystem = 7,
  kExitUpgrade = 8,
};

struct CommandLine {
  enum class Verb : std::uint8_t { kServe, kCheckConfig, kUpgrade, kRollback, kExit };
  Verb verb = Verb::kServe;
  bool quickstart = false;
  std::string binary;  // kUpgrade; empty: the running program's own file
  bool json = false;   // kUpgrade, kRollback
  runtime::ConfigSources sources;  // without the environment
  // kExit: what to print, and where to.
  std::string out;
  std::string err;
  int exit_code = kExitDone;
};

CommandLine parse_command_line(int argc, const char* const* argv);

}  // namespace godwit::godwitd
