#include "adapters/rocksdb/row_layout.h"

#include "base/check.h"
#include "base/limits.h"

namespace godwit::adapters {
namespace {

constexpr std::size_t kExpirySize = 8;
static_assert(limits::kMaxPartition < 0xff);  // so that a first octet always has a successor

}  // namespace

std::string stored_key(ByteView partition, ByteView key) {
  std::string out;
  out.reserve(1 + partition.size() + key.size());
  out += static_cast<char>(partition.size());
  out += text_of(partition);
  out += text_of(key);
  return out;
}

std::string partition_end(ByteView partition) {
  std::string out = stored_key(partition, {});
  while (out.back() == '\xff') out.pop_back();
  out.back() = static_cast<char>(static_cast<std::uint8_t>(out.back()) + 1);
  return out;
}

std::string stored_value(Instant expires, ByteView value) {
  Bytes header;
  put_be64(header, static_cast<std::uint64_t>(expires.ms));
  std::string out;
  out.reserve(kExpirySize + value.size());
  out += text_of(header);
  out += text_of(value);
  return out;
}

ByteView row_key(std::string_view stored_key) {
  CHECK(!stored_key.empty());
  const std::size_t prefix = 1U + static_cast<std::uint8_t>(stored_key.front());
  CHECK(stored_key.size() >= prefix);
  return view_of(stored_key.substr(prefix));
}

ByteView partition_of(std::string_view stored_key) {
  CHECK(!stored_key.empty());
  const std::size_t size = static_cast<std::uint8_t>(stored_key.front());
  CHECK(stored_key.size() > size);
  return view_of(stored_key.substr(1, size));
}

std::optional<StoredValue> parse_value(std::string_view stored) {
  if (stored.size() < kExpirySize) return std::nullopt;
  const ByteView octets = view_of(stored);
  return StoredValue{{static_cast<std::int64_t>(get_be64(octets))}, octets.subspan(kExpirySize)};
}

}  // namespace godwit::adapters
