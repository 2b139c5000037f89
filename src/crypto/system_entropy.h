// The randomness of the machine: getrandom(2) natively, the host's random_get in WebAssembly.
#pragma once

#include "base/entropy.h"

namespace godwit::crypto {

class SystemEntropy final : public Entropy {
 public:
  void fill(MutableByteView out) override;
};

}  // namespace godwit::crypto
