// Descriptors: how many sockets a process may hold, and how it holds more than one table's worth.
//
// The limit of open files (RLIMIT_NOFILE) is one of descriptor tables, and a thread may have a
// table of its own. A socket then lives and dies with its thread: no other can name it. Whatever a
// thread needs of what was open before must be kept by name, under the same number.
#pragma once

#include <cstdint>
#include <vector>

#include "base/result.h"

namespace godwit::io {

// Descriptors that one table may hold. Raises the soft limit to the hard one, for this process.
std::uint32_t descriptor_limit();

// Gives the calling thread a table of its own, with nothing in it but standard input, output,
// error and `kept`. What it opens from then on is closed when it ends. kIo: no memory for it.
Result<void> own_descriptor_table(std::vector<int> kept);

}  // namespace godwit::io
