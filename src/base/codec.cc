#include "base/codec.h"

namespace godwit {
namespace {

constexpr std::uint32_t kMaxFieldNumber = (1u << 29) - 1;

std::unexpected<Error> truncated() { return fail(Code::kCorrupt, "a record ends too early"); }

}  // namespace

void put_varint(Bytes& out, std::uint64_t value) {
  while (value >= 0x80) {
    out.push_back(static_cast<std::uint8_t>(value | 0x80));
    value >>= 7;
  }
  out.push_back(static_cast<std::uint8_t>(value));
}

void put_uint_field(Bytes& out, std::uint32_t number, std::uint64_t value) {
  put_varint(out, std::uint64_t{number} << 3 | static_cast<std::uint64_t>(WireType::kVarint));
  put_varint(out, value);
}

void put_bytes_field(Bytes& out, std::uint32_t number, ByteView value) {
  put_varint(out, std::uint64_t{number} << 3 | static_cast<std::uint64_t>(WireType::kBytes));
  put_varint(out, value.size());
  append(out, value);
}

void put_length_at(Bytes& out, std::size_t at) {
  const std::size_t size = out.size() - at - 1;
  std::size_t more = 0;  // octets that the length takes beyond the first
  for (std::size_t rest = size >> 7; rest != 0; rest >>= 7) ++more;
  if (more != 0) out.insert(out.begin() + static_cast<std::ptrdiff_t>(at), more, 0);
  for (std::size_t i = 0; i <= more; ++i) {
    const auto bits = static_cast<std::uint8_t>(size >> (7 * i) & 0x7F);
    out[at + i] = i == more ? bits : static_cast<std::uint8_t>(bits | 0x80);
  }
}

Result<std::uint64_t> Reader::varint() {
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < 10; ++i) {
    if (i >= in_.size()) return truncated();
    const std::uint8_t byte = in_[i];
    if (i == 9 && byte > 1) return fail(Code::kCorrupt, "a number in the record is over 64 bits");
    value |= std::uint64_t{byte & 0x7Fu} << (7 * i);
    if (byte < 0x80) {
      in_ = in_.subspan(i + 1);
      return value;
    }
  }
  return fail(Code::kCorrupt, "a number in the record is over 64 bits");
}

Result<ByteView> Reader::bytes(std::uint64_t size) {
  if (size > in_.size()) return truncated();
  const ByteView out = in_.first(static_cast<std::size_t>(size));
  in_ = in_.subspan(static_cast<std::size_t>(size));
  return out;
}

Result<Reader::Field> Reader::field() {
  const auto tag = varint();
  if (!tag) return fail(tag.error());
  Field field;
  if (*tag >> 3 == 0 || *tag >> 3 > kMaxFieldNumber) {
    return fail(Code::kCorrupt, "a field number is out of range");
  }
  field.number = static_cast<std::uint32_t>(*tag >> 3);
  field.type = static_cast<WireType>(*tag & 7);
  switch (field.type) {
    case WireType::kVarint: {
      const auto value = varint();
      if (!value) return fail(value.error());
      field.integer = *value;
      return field;
    }
    case WireType::kBytes: {
      const auto size = varint();
      if (!size) return fail(size.error());
      const auto value = bytes(*size);
      if (!value) return fail(value.error());
      field.bytes = *value;
      return field;
    }
    case WireType::kFixed32:
    case WireType::kFixed64: {
      const auto value = bytes(field.type == WireType::kFixed32 ? 4 : 8);
      if (!value) return fail(value.error());
      for (std::size_t i = value->size(); i-- > 0;) {
        field.integer = field.integer << 8 | (*value)[i];
      }
      return field;
    }
  }
  return fail(Code::kCorrupt, "a field has an unknown wire type");
}

}  // namespace godwit
