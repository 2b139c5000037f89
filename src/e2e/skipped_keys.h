// SkippedKeys: the keys of messages that have not come yet, by their number in a chain. Each is
// given once; the newest limits::kSkippedSeeds are kept.
//
// One packed run of (big-endian number, 32-octet key), oldest first: that is also its stored form.
// Zeroed when it goes; what it was copied from, too.
#pragma once

#include <algorithm>
#include <optional>

#include "base/codec.h"
#include "base/limits.h"
#include "crypto/secret.h"

namespace godwit::e2e {

class SkippedKeys {
 public:
  // Keeps the keys of the numbers from `first` up to, not including, `end`; `next()` makes one
  // after the other, also those that are too many to be kept.
  template <typename Next>
  void skip(std::uint32_t first, std::uint32_t end, Next next) {
    const std::size_t fresh = std::min<std::size_t>(end - first, limits::kSkippedSeeds);
    const ByteView old = packed_.view();
    const std::size_t kept = std::min(old.size() / kEntry, limits::kSkippedSeeds - fresh) * kEntry;
    Bytes packed;  // no growth, it would leave secrets behind
    packed.reserve(kept + fresh * kEntry);
    append(packed, old.last(kept));
    for (std::uint32_t number = first; number < end; ++number) {
      const crypto::Key key = next();
      if (end - number > fresh) continue;
      put_be32(packed, number);
      append(packed, key.view());
    }
    packed_ = crypto::SecretBytes(std::move(packed));
  }
  // nullopt: never kept, given before, or too old.
  std::optional<crypto::Key> take(std::uint32_t number);

  SkippedKeys clone() const;
  ByteView view() const { return packed_.view(); }
  std::size_t size() const { return packed_.size(); }  // in octets
  static std::optional<SkippedKeys> parse(ByteView packed);

 private:
  static constexpr std::size_t kEntry = 4 + 32;

  crypto::SecretBytes packed_;
};

}  // namespace godwit::e2e
