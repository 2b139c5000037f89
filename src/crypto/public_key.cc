#include "crypto/public_key.h"

#include <algorithm>

namespace godwit::crypto {

ByteArray<PublicKey::kSize> PublicKey::wire() const {
  ByteArray<kSize> out;
  out[0] = kType;
  std::ranges::copy(u, out.begin() + 1);
  return out;
}

Result<PublicKey> PublicKey::parse(ByteView wire) {
  if (wire.size() != kSize || wire[0] != kType) {
    return fail(Code::kCorrupt, "not a public key in wire form");
  }
  return PublicKey{*to_array<32>(wire.subspan(1))};
}

bool verify(const PublicKey& key, ByteView message, ByteView signature) {
  const auto octets = to_array<64>(signature);
  return octets && xeddsa_verify(key.u, message, *octets);
}

}  // namespace godwit::crypto
