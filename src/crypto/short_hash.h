// SipHash-2-4 (Aumasson, Bernstein 2012): a keyed hash for tables whose keys strangers choose.
// Whoever does not know the key cannot make many of them fall together. Not for authentication.
#pragma once

#include "base/bytes.h"

namespace godwit::crypto {

std::uint64_t short_hash(const ByteArray<16>& key, ByteView data);

}  // namespace godwit::crypto
