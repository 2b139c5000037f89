// The only source of randomness. Native: the operating system; wasm: the host; simulator: a seed.
#pragma once

#include "base/bytes.h"

namespace godwit {

class Entropy {
 public:
  virtual ~Entropy() = default;
  // Fills `out` with unpredictable bytes. Cannot fail: an implementation that has none aborts.
  virtual void fill(MutableByteView out) = 0;

  template <std::size_t N>
  ByteArray<N> draw() {
    ByteArray<N> out;
    fill(out);
    return out;
  }
  // A uniform integer in [0, bound), bound > 0, without modulo bias.
  std::uint64_t below(std::uint64_t bound);
};

// Reproducible bytes from a seed: for tests and the simulator, never for keys of people.
class SeededEntropy final : public Entropy {
 public:
  explicit SeededEntropy(std::uint64_t seed) : state_(seed) {}
  void fill(MutableByteView out) override;
  std::uint64_t next();

 private:
  std::uint64_t state_;
};

}  // namespace godwit
