#include "io/descriptors.h"

#include <linux/close_range.h>
#include <sched.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>

#include "base/check.h"

namespace godwit::io {

namespace {

void close_from(int first, int last) {
  if (first <= last) {
    CHECK(close_range(static_cast<unsigned>(first), static_cast<unsigned>(last), 0) == 0);
  }
}

}  // namespace

std::uint32_t descriptor_limit() {
  constexpr std::uint32_t kLeast = 1024;  // what every system gives
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return kLeast;
  if (limit.rlim_cur < limit.rlim_max) {
    const rlimit raised{limit.rlim_max, limit.rlim_max};
    if (setrlimit(RLIMIT_NOFILE, &raised) == 0) limit = raised;
  }
  return static_cast<std::uint32_t>(std::min<rlim_t>(limit.rlim_cur, UINT32_MAX));
}

Result<void> own_descriptor_table(std::vector<int> kept) {
  if (unshare(CLONE_FILES) != 0) return fail(Code::kIo, "no memory for a table of descriptors");
  kept.push_back(STDERR_FILENO);
  std::ranges::sort(kept);
  // Others' descriptors must not stay open here when they close them.
  for (auto at = kept.begin(); at != kept.end(); ++at) {
    const auto next = std::next(at);
    if (*at >= STDERR_FILENO) close_from(*at + 1, next == kept.end() ? INT32_MAX : *next - 1);
  }
  return {};
}

}  // namespace godwit::io
