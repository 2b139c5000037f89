// Octets: owned, borrowed, shared. Plain data; for secrets use crypto/secret.h.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace godwit {

using Bytes = std::vector<std::uint8_t>;
using ByteView = std::span<const std::uint8_t>;
using MutableByteView = std::span<std::uint8_t>;
template <std::size_t N>
using ByteArray = std::array<std::uint8_t, N>;

// One immutable buffer with any number of readers: a fan-out of n deliveries holds one copy.
using SharedBytes = std::shared_ptr<const Bytes>;

inline SharedBytes share(Bytes bytes) { return std::make_shared<const Bytes>(std::move(bytes)); }

inline ByteView view_of(std::string_view text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}
inline Bytes to_bytes(ByteView view) { return {view.begin(), view.end()}; }
inline Bytes to_bytes(std::string_view text) { return to_bytes(view_of(text)); }
inline std::string to_string(ByteView view) { return {view.begin(), view.end()}; }
inline std::string_view text_of(ByteView view) {
  return {reinterpret_cast<const char*>(view.data()), view.size()};
}
inline void append(Bytes& to, ByteView what) { to.insert(to.end(), what.begin(), what.end()); }

// Equality and order of public bytes. Secrets are compared with crypto::equal().
bool same(ByteView a, ByteView b);
bool less(ByteView a, ByteView b);

// Copies `view` into an array; nullopt when the sizes differ.
template <std::size_t N>
std::optional<ByteArray<N>> to_array(ByteView view) {
  if (view.size() != N) return std::nullopt;
  ByteArray<N> out;
  for (std::size_t i = 0; i < N; ++i) out[i] = view[i];
  return out;
}

// Lower-case hexadecimal; from_hex accepts both cases, nullopt for anything else.
std::string to_hex(ByteView view);
std::optional<Bytes> from_hex(std::string_view hex);
// Lower-case base32 without padding (RFC 4648, section 6), which a QR code holds tightly when it is
// written in capitals; from_base32 accepts both cases, and for each octet string one spelling only.
std::string to_base32(ByteView view);
std::optional<Bytes> from_base32(std::string_view text);

// True when `text` is well-formed UTF-8 (RFC 3629: no overlong forms, no surrogates).
bool is_utf8(ByteView text);

// Big-endian integers, as they appear in keys and headers.
void put_be16(Bytes& out, std::uint16_t value);
void put_be32(Bytes& out, std::uint32_t value);
void put_be64(Bytes& out, std::uint64_t value);
// Read from the first bytes of `in`, which must be long enough (CHECKed).
std::uint16_t get_be16(ByteView in);
std::uint32_t get_be32(ByteView in);
std::uint64_t get_be64(ByteView in);

}  // namespace godwit
