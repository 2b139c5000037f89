// How a row lies in a column family.
//
//   key    length of the partition (1 octet) | partition | key of the row
//   value  expiry in ms (8 octets, big-endian) | value of the row
//
// The length comes first, so that no partition's rows lie among another's, even when its name is
// the beginning of the other's name. Within a partition the order is that of the keys.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/time.h"

namespace godwit::adapters {

std::string stored_key(ByteView partition, ByteView key);
// The least stored key after all rows of `partition`.
std::string partition_end(ByteView partition);
std::string stored_value(Instant expires, ByteView value);

// Undo stored_key(): the key of the row, and its partition.
ByteView row_key(std::string_view stored_key);
ByteView partition_of(std::string_view stored_key);

struct StoredValue {
  Instant expires;
  ByteView value;  // borrows from what was parsed
};
// Undoes stored_value(); nullopt when it is none.
std::optional<StoredValue> parse_value(std::string_view stored);

}  // namespace godwit::adapters
