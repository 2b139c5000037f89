// The codec of every wire and storage record: Protocol Buffers' wire format over plain structs.
//
// A record lists its fields once, and that list is its schema:
//
//     struct Ack {
//       Sequence up_to;
//       static void fields(auto& m, auto& field) { field(1, m.up_to); }
//     };
//
// Field numbers are never reused. Unknown fields are skipped, absent ones keep their default, so
// both sides may be newer. Text, octets and lists name their bound: decode() refuses more
// (kTooLarge) before it allocates. Malformed input is kCorrupt; no input can do worse.
#pragma once

#include <concepts>
#include <optional>
#include <string>
#include <type_traits>
#include <vector>

#include "base/bytes.h"
#include "base/id.h"
#include "base/result.h"
#include "base/time.h"

namespace godwit {

// Low level: varints and tagged fields.
enum class WireType : std::uint8_t { kVarint = 0, kFixed64 = 1, kBytes = 2, kFixed32 = 5 };

void put_varint(Bytes& out, std::uint64_t value);
void put_uint_field(Bytes& out, std::uint32_t number, std::uint64_t value);
void put_bytes_field(Bytes& out, std::uint32_t number, ByteView value);
// Puts the number of octets that follow `at` there, where one octet was left for it.
void put_length_at(Bytes& out, std::size_t at);
// Appends what `write` appends to `out`, with its length before it.
void put_delimited(Bytes& out, auto write) {
  const std::size_t at = out.size();
  out.push_back(0);
  write();
  put_length_at(out, at);
}

// A bounds-checked cursor over borrowed octets.
class Reader {
 public:
  struct Field {
    std::uint32_t number = 0;
    WireType type = WireType::kVarint;
    std::uint64_t integer = 0;  // kVarint, kFixed32, kFixed64
    ByteView bytes;             // kBytes
  };

  explicit Reader(ByteView in) : in_(in) {}
  bool at_end() const { return in_.empty(); }
  ByteView rest() const { return in_; }
  // At most 10 octets, and nothing beyond 64 bits.
  Result<std::uint64_t> varint();
  Result<ByteView> bytes(std::uint64_t size);
  Result<Field> field();

 private:
  ByteView in_;
};

namespace codec {

template <typename T>
concept Integer = std::unsigned_integral<T> || std::same_as<T, std::int64_t>;

template <typename T>
struct is_opaque_id : std::false_type {};
template <typename Tag>
struct is_opaque_id<OpaqueId<Tag>> : std::true_type {};
template <typename T>
struct is_numeric_id : std::false_type {};
template <typename Tag, typename Int>
struct is_numeric_id<NumericId<Tag, Int>> : std::true_type {};
template <typename T>
struct is_byte_array : std::false_type {};
template <std::size_t N>
struct is_byte_array<ByteArray<N>> : std::true_type {};
template <typename T>
struct is_optional : std::false_type {};
template <typename T>
struct is_optional<std::optional<T>> : std::true_type {};

inline bool all_zero(ByteView view) {
  for (const std::uint8_t byte : view) {
    if (byte != 0) return false;
  }
  return true;
}

struct Encoder {
  Bytes& out;

  template <typename T>
  void operator()(std::uint32_t number, const T& value) {
    if constexpr (std::is_enum_v<T>) {
      uint(number, static_cast<std::uint64_t>(value));
    } else if constexpr (Integer<T>) {
      uint(number, static_cast<std::uint64_t>(value));
    } else if constexpr (std::same_as<T, Instant> || std::same_as<T, Duration>) {
      uint(number, static_cast<std::uint64_t>(value.ms));
    } else if constexpr (is_numeric_id<T>::value) {
      uint(number, value.value);
    } else if constexpr (is_opaque_id<T>::value) {
      if (!value.is_nil()) put_bytes_field(out, number, value.octets);
    } else if constexpr (is_byte_array<T>::value) {
      if (!all_zero(value)) put_bytes_field(out, number, value);
    } else if constexpr (is_optional<T>::value) {
      if (value) nested(number, *value);
    } else {
      nested(number, value);
    }
  }
  void operator()(std::uint32_t number, const Bytes& value, std::size_t) {
    if (!value.empty()) put_bytes_field(out, number, value);
  }
  void operator()(std::uint32_t number, const std::string& value, std::size_t) {
    if (!value.empty()) put_bytes_field(out, number, view_of(value));
  }
  template <typename T>
  void operator()(std::uint32_t number, const std::vector<T>& list, std::size_t) {
    for (const T& item : list) element(number, item);
  }
  void operator()(std::uint32_t number, const std::vector<SharedBytes>& list, std::size_t) {
    for (const SharedBytes& item : list) put_bytes_field(out, number, *item);
  }

 private:
  void uint(std::uint32_t number, std::uint64_t value) {
    if (value != 0) put_uint_field(out, number, value);
  }
  template <typename T>
  void nested(std::uint32_t number, const T& value) {
    put_varint(out, std::uint64_t{number} << 3 | static_cast<std::uint64_t>(WireType::kBytes));
    put_delimited(out, [&] { T::fields(value, *this); });
  }
  // Elements are written even when they are zero: their count matters.
  template <typename T>
  void element(std::uint32_t number, const T& item) {
    if constexpr (std::is_enum_v<T> || Integer<T>) {
      put_uint_field(out, number, static_cast<std::uint64_t>(item));
    } else if constexpr (is_numeric_id<T>::value) {
      put_uint_field(out, number, item.value);
    } else if constexpr (is_opaque_id<T>::value) {
      put_bytes_field(out, number, item.octets);
    } else if constexpr (std::same_as<T, Bytes>) {
      put_bytes_field(out, number, item);
    } else if constexpr (std::same_as<T, std::string>) {
      put_bytes_field(out, number, view_of(item));
    } else {
      nested(number, item);
    }
  }
};

// Stores one received field into the member that has its number.
struct Decoder {
  const Reader::Field& field;
  Result<void> status{};

  template <typename T>
  void operator()(std::uint32_t number, T& value) {
    if (number == field.number && status) status = scalar(value);
  }
  void operator()(std::uint32_t number, Bytes& value, std::size_t max) {
    if (number == field.number && status && octets(max)) value = to_bytes(field.bytes);
  }
  void operator()(std::uint32_t number, std::string& value, std::size_t max) {
    if (number == field.number && status && octets(max)) value = to_string(field.bytes);
  }
  template <typename T>
  void operator()(std::uint32_t number, std::vector<T>& list, std::size_t max) {
    if (number != field.number || !status) return;
    if (list.size() >= max) {
      status = fail(Code::kTooLarge, "a list in the record is longer than its limit");
      return;
    }
    T item{};
    if constexpr (std::same_as<T, SharedBytes>) {
      if (octets(SIZE_MAX)) item = share(to_bytes(field.bytes));
    } else if constexpr (std::same_as<T, Bytes> || std::same_as<T, std::string>) {
      if (octets(SIZE_MAX)) item.assign(field.bytes.begin(), field.bytes.end());
    } else {
      status = scalar(item);
    }
    if (status) list.push_back(std::move(item));
  }

 private:
  bool octets(std::size_t max) {
    if (field.type != WireType::kBytes) status = malformed();
    else if (field.bytes.size() > max) status = fail(Code::kTooLarge, "a field is over its limit");
    return status.has_value();
  }
  static std::unexpected<Error> malformed() { return fail(Code::kCorrupt, "a malformed record"); }

  template <typename Int, typename Set>
  Result<void> integer(Set set) {
    if (field.type == WireType::kBytes) return malformed();
    const Int narrow = static_cast<Int>(field.integer);
    if (static_cast<std::uint64_t>(narrow) != field.integer) return malformed();
    set(narrow);
    return {};
  }
  template <typename T>
  Result<void> scalar(T& value);
};

}  // namespace codec

template <typename T>
void encode_to(Bytes& out, const T& record) {
  codec::Encoder encoder{out};
  T::fields(record, encoder);
}

template <typename T>
Bytes encode(const T& record) {
  Bytes out;
  out.reserve(64);  // most are no longer, and growing there octet by octet costs more
  encode_to(out, record);
  return out;
}

template <typename T>
Result<T> decode(ByteView in) {
  T record{};
  Reader reader(in);
  while (!reader.at_end()) {
    const auto field = reader.field();
    if (!field) return fail(field.error());
    codec::Decoder decoder{*field};
    T::fields(record, decoder);
    if (!decoder.status) return fail(decoder.status.error());
  }
  return record;
}

namespace codec {

template <typename T>
Result<void> Decoder::scalar(T& value) {
  if constexpr (std::is_enum_v<T>) {
    using Int = std::underlying_type_t<T>;
    static_assert(std::unsigned_integral<Int>);
    return integer<Int>([&](Int v) { value = static_cast<T>(v); });
  } else if constexpr (Integer<T>) {
    return integer<T>([&](T v) { value = v; });
  } else if constexpr (std::same_as<T, Instant> || std::same_as<T, Duration>) {
    return integer<std::int64_t>([&](std::int64_t v) { value.ms = v; });
  } else if constexpr (is_numeric_id<T>::value) {
    using Int = decltype(value.value);
    return integer<Int>([&](Int v) { value.value = v; });
  } else if constexpr (is_opaque_id<T>::value || is_byte_array<T>::value) {
    MutableByteView target = [&]() -> MutableByteView {
      if constexpr (is_opaque_id<T>::value) return value.octets;
      else return value;
    }();
    if (field.type != WireType::kBytes || field.bytes.size() != target.size()) return malformed();
    for (std::size_t i = 0; i < target.size(); ++i) target[i] = field.bytes[i];
    return {};
  } else {
    if (field.type != WireType::kBytes) return malformed();
    if constexpr (is_optional<T>::value) {
      auto inner = decode<typename T::value_type>(field.bytes);
      if (!inner) return fail(inner.error());
      value = std::move(*inner);
    } else {
      auto inner = decode<T>(field.bytes);
      if (!inner) return fail(inner.error());
      value = std::move(*inner);
    }
    return {};
  }
}

}  // namespace codec
}  // namespace godwit
