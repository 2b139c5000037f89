// How records with secrets or signed octets are read: a protobuf, field by field, strictly.
#pragma once

#include "base/codec.h"
#include "crypto/public_key.h"

namespace godwit::crypto {

// Calls `on_field(const Reader::Field&) -> bool` for every field; false means malformed. Numbers in
// `required` (bit n = field n) must appear. kCorrupt otherwise. Unknown fields: return true.
template <typename OnField>
Result<void> read_record(ByteView record, std::uint32_t required, OnField on_field) {
  std::uint32_t seen = 0;
  Reader reader(record);
  while (!reader.at_end()) {
    const auto field = reader.field();
    if (!field) return fail(field.error());
    if (!on_field(*field)) return fail(Code::kCorrupt, "a field has another type or size");
    if (field->number < 32) seen |= std::uint32_t{1} << field->number;
  }
  if ((seen & required) != required) return fail(Code::kCorrupt, "a required field is missing");
  return {};
}

template <typename... Number>
constexpr std::uint32_t require(Number... number) {
  return ((std::uint32_t{1} << number) | ...);
}

template <std::unsigned_integral T>
bool read_uint(const Reader::Field& field, T& value) {
  value = static_cast<T>(field.integer);
  return field.type == WireType::kVarint && value == field.integer;
}

inline bool read_bytes(const Reader::Field& field, ByteView& value) {
  value = field.bytes;
  return field.type == WireType::kBytes;
}

template <std::size_t N>
bool read_octets(const Reader::Field& field, std::span<std::uint8_t, N> value) {
  if (field.type != WireType::kBytes || field.bytes.size() != N) return false;
  std::ranges::copy(field.bytes, value.begin());
  return true;
}
template <std::size_t N>
bool read_octets(const Reader::Field& field, ByteArray<N>& value) {
  return read_octets(field, std::span<std::uint8_t, N>(value));
}
template <std::size_t N>
bool read_octets(const Reader::Field& field, Secret<N>& value) {
  return read_octets(field, value.mutable_view());
}

inline bool read_public_key(const Reader::Field& field, PublicKey& value) {
  if (field.type != WireType::kBytes) return false;
  const auto key = PublicKey::parse(field.bytes);
  if (key) value = *key;
  return key.has_value();
}

// A key pair is stored as two fields: `number` the private, `number` + 1 the public key.
inline void put_key_pair(Bytes& out, std::uint32_t number, const KeyPair& keys) {
  put_bytes_field(out, number, keys.private_key.view());
  put_bytes_field(out, number + 1, keys.public_key);
}

}  // namespace godwit::crypto
