#include "base/entropy.h"

#include "base/check.h"

namespace godwit {

std::uint64_t Entropy::below(std::uint64_t bound) {
  CHECK(bound > 0);
  // Refuse the incomplete last interval, so that every residue is equally likely.
  const std::uint64_t limit = UINT64_MAX - UINT64_MAX % bound;
  while (true) {
    const std::uint64_t value = get_be64(draw<8>());
    if (value < limit) return value % bound;
  }
}

// splitmix64 (Steele, Lea, Flood 2014): a counter through a bijective mix.
std::uint64_t SeededEntropy::next() {
  std::uint64_t z = state_ += 0x9E3779B97F4A7C15;
  z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9;
  z = (z ^ z >> 27) * 0x94D049BB133111EB;
  return z ^ z >> 31;
}

void SeededEntropy::fill(MutableByteView out) {
  std::size_t i = 0;
  while (i < out.size()) {
    std::uint64_t word = next();
    for (int k = 0; k < 8 && i < out.size(); ++k, word >>= 8) {
      out[i++] = static_cast<std::uint8_t>(word);
    }
  }
}

}  // namespace godwit
