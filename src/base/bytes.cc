#include "base/bytes.h"

#include <algorithm>

#include "base/check.h"

namespace godwit {
namespace {

int nibble(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

template <typename T>
void put_be(Bytes& out, T value) {
  for (int shift = 8 * (int{sizeof(T)} - 1); shift >= 0; shift -= 8) {
    out.push_back(static_cast<std::uint8_t>(value >> shift));
  }
}

template <typename T>
T get_be(ByteView in) {
  CHECK(in.size() >= sizeof(T));
  T value = 0;
  for (std::size_t i = 0; i < sizeof(T); ++i) value = static_cast<T>(value << 8 | in[i]);
  return value;
}

}  // namespace

bool same(ByteView a, ByteView b) { return std::ranges::equal(a, b); }
bool less(ByteView a, ByteView b) { return std::ranges::lexicographical_compare(a, b); }

std::string to_hex(ByteView view) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string out;
  out.reserve(view.size() * 2);
  for (const std::uint8_t byte : view) {
    out.push_back(kDigits[byte >> 4]);
    out.push_back(kDigits[byte & 15]);
  }
  return out;
}

std::optional<Bytes> from_hex(std::string_view hex) {
  if (hex.size() % 2 != 0) return std::nullopt;
  Bytes out;
  out.reserve(hex.size() / 2);
  for (std::size_t i = 0; i < hex.size(); i += 2) {
    const int high = nibble(hex[i]);
    const int low = nibble(hex[i + 1]);
    if (high < 0 || low < 0) return std::nullopt;
    out.push_back(static_cast<std::uint8_t>(high << 4 | low));
  }
  return out;
}

std::string to_base32(ByteView view) {
  static constexpr char kDigits[] = "abcdefghijklmnopqrstuvwxyz234567";
  std::string out;
  out.reserve((view.size() * 8 + 4) / 5);
  std::uint32_t bits = 0;
  int held = 0;
  for (const std::uint8_t byte : view) {
    bits = bits << 8 | byte;
    for (held += 8; held >= 5; held -= 5) out.push_back(kDigits[bits >> (held - 5) & 31]);
  }
  if (held > 0) out.push_back(kDigits[bits << (5 - held) & 31]);
  return out;
}

std::optional<Bytes> from_base32(std::string_view text) {
  Bytes out;
  out.reserve(text.size() * 5 / 8);
  std::uint32_t bits = 0;
  int held = 0;
  for (const char c : text) {
    const char low = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    const bool letter = low >= 'a' && low <= 'z';
    if (!letter && !(low >= '2' && low <= '7')) return std::nullopt;
    bits = bits << 5 | static_cast<std::uint32_t>(letter ? low - 'a' : low - '2' + 26);
    held += 5;
    if (held < 8) continue;
    held -= 8;
    out.push_back(static_cast<std::uint8_t>(bits >> held));
  }
  // What is left over are zeros, and fewer of them than a digit has.
  if (held >= 5 || (bits & ((1U << held) - 1)) != 0) return std::nullopt;
  return out;
}

bool is_utf8(ByteView text) {
  for (std::size_t i = 0; i < text.size();) {
    const std::uint8_t lead = text[i++];
    if (lead < 0x80) continue;
    std::size_t more = 0;
    std::uint32_t point = 0;
    if (lead >= 0xC2 && lead <= 0xDF) more = 1, point = lead & 0x1F;
    else if (lead >= 0xE0 && lead <= 0xEF) more = 2, point = lead & 0x0F;
    else if (lead >= 0xF0 && lead <= 0xF4) more = 3, point = lead & 0x07;
    else return false;
    if (text.size() - i < more) return false;
    for (std::size_t k = 0; k < more; ++k) {
      const std::uint8_t next = text[i++];
      if ((next & 0xC0) != 0x80) return false;
      point = point << 6 | (next & 0x3F);
    }
    const bool overlong = (more == 2 && point < 0x800) || (more == 3 && point < 0x10000);
    const bool surrogate = point >= 0xD800 && point <= 0xDFFF;
    if (overlong || surrogate || point > 0x10FFFF) return false;
  }
  return true;
}

void put_be16(Bytes& out, std::uint16_t value) { put_be(out, value); }
void put_be32(Bytes& out, std::uint32_t value) { put_be(out, value); }
void put_be64(Bytes& out, std::uint64_t value) { put_be(out, value); }
std::uint16_t get_be16(ByteView in) { return get_be<std::uint16_t>(in); }
std::uint32_t get_be32(ByteView in) { return get_be<std::uint32_t>(in); }
std::uint64_t get_be64(ByteView in) { return get_be<std::uint64_t>(in); }

}  // namespace godwit
