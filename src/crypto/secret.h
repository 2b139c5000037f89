// Secret octets: zeroed when they die or move away, never copied by accident, never printed.
//
// There is no operator== and no operator<<: compare with equal(), copy with clone().
#pragma once

#include <algorithm>
#include <optional>

#include "base/bytes.h"

namespace godwit::crypto {

// Zeroes `bytes` in a way that no optimizer removes.
void wipe(MutableByteView bytes);

// Compares in a time that depends on the sizes only. Different sizes are unequal.
bool equal(ByteView a, ByteView b);

template <std::size_t N>
class Secret {
 public:
  Secret() = default;  // zeros
  explicit Secret(std::span<const std::uint8_t, N> from) {
    std::ranges::copy(from, octets_.begin());
  }
  Secret(Secret&& other) noexcept : octets_(other.octets_) { wipe(other.octets_); }
  Secret& operator=(Secret&& other) noexcept {
    if (this == &other) return *this;
    octets_ = other.octets_;
    wipe(other.octets_);
    return *this;
  }
  Secret(const Secret&) = delete;
  Secret& operator=(const Secret&) = delete;
  ~Secret() { wipe(octets_); }

  // nullopt when `from` has another size.
  static std::optional<Secret> parse(ByteView from) {
    if (from.size() != N) return std::nullopt;
    return Secret(from.first<N>());
  }
  Secret clone() const { return Secret(view()); }
  std::span<const std::uint8_t, N> view() const { return octets_; }
  std::span<std::uint8_t, N> mutable_view() { return octets_; }

 private:
  ByteArray<N> octets_{};
};

using Key = Secret<32>;
// The same octets, borrowed: what the functions of this folder take as a 256-bit key.
using KeyView = std::span<const std::uint8_t, 32>;

// Secret octets of any number, e.g. a session record.
class SecretBytes {
 public:
  SecretBytes() = default;
  explicit SecretBytes(Bytes bytes) : octets_(std::move(bytes)) {}
  SecretBytes(SecretBytes&& other) noexcept : octets_(std::move(other.octets_)) {}
  SecretBytes& operator=(SecretBytes&& other) noexcept {
    wipe(octets_);
    octets_ = std::move(other.octets_);
    return *this;
  }
  SecretBytes(const SecretBytes&) = delete;
  SecretBytes& operator=(const SecretBytes&) = delete;
  ~SecretBytes() { wipe(octets_); }

  SecretBytes clone() const { return SecretBytes(octets_); }
  bool empty() const { return octets_.empty(); }
  std::size_t size() const { return octets_.size(); }
  ByteView view() const { return octets_; }
  MutableByteView mutable_view() { return octets_; }
  // Gives the octets to one who keeps them, e.g. a store. They are no longer wiped.
  Bytes release() && { return std::move(octets_); }

 private:
  Bytes octets_;
};

}  // namespace godwit::crypto
