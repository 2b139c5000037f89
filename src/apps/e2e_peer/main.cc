// e2e-peer: reads requests from standard input, answers on standard output (README.md).
#include <chrono>
#include <iostream>

#include "apps/e2e_peer/session_host.h"

namespace {

// Longer lines are answered as malformed. The state of a peer with many sessions is the longest.
constexpr std::size_t kMaxLine = 256 * 1024 * 1024;

// False at the end of the input. Of a line that is too long, only the beginning is kept.
bool read_line(std::string& line) {
  line.clear();
  auto& in = *std::cin.rdbuf();
  constexpr int kEnd = std::char_traits<char>::eof();
  for (int c = in.sbumpc(); c != '\n'; c = in.sbumpc()) {
    if (c == kEnd) return !line.empty();
    if (line.size() < kMaxLine) line.push_back(static_cast<char>(c));
  }
  return true;
}

}  // namespace

int main() {
  using std::chrono::milliseconds;
  std::ios::sync_with_stdio(false);
  godwit::e2e_peer::SessionHost host;
  std::string line;
  while (!host.has_quit() && read_line(line)) {
    const auto now = std::chrono::system_clock::now().time_since_epoch();
    const std::int64_t ms = std::chrono::duration_cast<milliseconds>(now).count();
    std::cout << host.answer(line, {ms}) << '\n' << std::flush;
  }
}
