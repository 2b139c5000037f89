// Argon2id version 1.3 (RFC 9106): a key from something a person remembers.
#pragma once

#include "base/result.h"
#include "crypto/secret.h"

namespace godwit::crypto {

struct Argon2Cost {
  std::uint32_t passes = 3;
  std::uint32_t memory_kib = 64 * 1024;
};

// One lane. kInvalid: fewer than 1 pass or 8 KiB. kUnavailable: the memory cannot be had.
Result<Key> argon2id(ByteView password, std::span<const std::uint8_t, 16> salt, Argon2Cost cost);

}  // namespace godwit::crypto
