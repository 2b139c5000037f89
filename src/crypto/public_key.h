// PublicKey: an X25519 key as it travels, and signatures that are checked with it.
#pragma once

#include "crypto/xeddsa.h"

namespace godwit::crypto {

// In its wire form 0x05 || u (33 octets).
struct PublicKey {
  static constexpr std::size_t kSize = 33;
  static constexpr std::uint8_t kType = 0x05;
  CurvePoint u{};

  auto operator<=>(const PublicKey&) const = default;
  ByteArray<kSize> wire() const;
  // kCorrupt: another length or type octet.
  static Result<PublicKey> parse(ByteView wire);
};

// True when `signature` over `message` was made with the private half of `key` (XEdDSA).
// A signature of another size than 64 octets is simply wrong.
bool verify(const PublicKey& key, ByteView message, ByteView signature);

}  // namespace godwit::crypto
