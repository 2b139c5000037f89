// Runs a target over its corpus without libFuzzer: every file as it is, cut at every point, and
// changed at random from a fixed seed. The same inputs on every machine.
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>

#include "base/entropy.h"
#include "fuzz.h"

namespace {

using godwit::Bytes;

constexpr std::size_t kCuts = 512;
constexpr int kMutations = 100;

void run(const Bytes& input) { LLVMFuzzerTestOneInput(input.data(), input.size()); }

void run_variants(const Bytes& input, godwit::Entropy& entropy) {
  run(input);
  for (std::size_t size = 0; size < std::min(input.size(), kCuts); ++size) {
    run(Bytes(input.begin(), input.begin() + static_cast<std::ptrdiff_t>(size)));
  }
  for (int i = 0; i < kMutations && !input.empty(); ++i) {
    Bytes changed = input;
    for (std::uint64_t n = 1 + entropy.below(4); n > 0; --n) {
      changed[entropy.below(changed.size())] = static_cast<std::uint8_t>(entropy.below(256));
    }
    run(changed);
  }
}

}  // namespace

int main(int argc, char** argv) {
  std::set<std::filesystem::path> files;  // in order, for reproducible runs
  for (int i = 1; i < argc; ++i) {
    for (const auto& entry : std::filesystem::directory_iterator(argv[i])) {
      files.insert(entry.path());
    }
  }
  if (files.empty()) {
    std::fprintf(stderr, "replay: no corpus\n");
    return 1;
  }
  godwit::SeededEntropy entropy(1);
  for (const auto& path : files) {
    std::ifstream file(path, std::ios::binary);
    run_variants(Bytes(std::istreambuf_iterator<char>(file), {}), entropy);
  }
  std::printf("%zu files replayed\n", files.size());
}
