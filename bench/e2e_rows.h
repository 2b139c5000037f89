// The rows of the end-to-end benchmark, and how one is timed; for the programs that link a library.
// The third, e2e_official.mjs, does the same in JavaScript.
#pragma once

#include <algorithm>
#include <cstdio>
#include <ctime>
#include <vector>

namespace godwit::bench {

// Processor time of this process, so that what else the machine does counts little.
inline double cpu_ns() {
  timespec now{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) * 1e9 + static_cast<double>(now.tv_nsec);
}

inline constexpr int kRounds = 15;
inline constexpr int kBatch = 100;  // messages per round; also how far out of order some arrive

// Prints the median over the rounds of what one `operation(i)`, i < kBatch, takes. `prepare()`
// comes before each round and is not timed.
template <typename Prepare, typename Operation>
void row(const char* name, Prepare prepare, Operation operation) {
  std::vector<double> rounds;
  for (int round = 0; round <= kRounds; ++round) {
    prepare();
    const double from = cpu_ns();
    for (int i = 0; i < kBatch; ++i) operation(i);
    if (round > 0) rounds.push_back((cpu_ns() - from) / kBatch);  // the first one warms up
  }
  std::ranges::sort(rounds);
  std::printf("%s\t%.0f\n", name, rounds[rounds.size() / 2]);
}

}  // namespace godwit::bench
