#include "e2e/skipped_keys.h"

namespace godwit::e2e {

std::optional<crypto::Key> SkippedKeys::take(std::uint32_t number) {
  const ByteView old = packed_.view();
  for (std::size_t at = 0; at < old.size(); at += kEntry) {
    if (get_be32(old.subspan(at, 4)) != number) continue;
    crypto::Key key(old.subspan(at + 4).first<32>());
    Bytes packed;
    packed.reserve(old.size() - kEntry);
    append(packed, old.first(at));
    append(packed, old.subspan(at + kEntry));
    packed_ = crypto::SecretBytes(std::move(packed));
    return key;
  }
  return std::nullopt;
}

SkippedKeys SkippedKeys::clone() const {
  SkippedKeys copy;
  copy.packed_ = packed_.clone();
  return copy;
}

std::optional<SkippedKeys> SkippedKeys::parse(ByteView packed) {
  if (packed.size() % kEntry != 0 || packed.size() / kEntry > limits::kSkippedSeeds) {
    return std::nullopt;
  }
  SkippedKeys keys;
  keys.packed_ = crypto::SecretBytes(to_bytes(packed));
  return keys;
}

}  // namespace godwit::e2e
