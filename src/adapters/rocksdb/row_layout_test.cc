#include "adapters/rocksdb/row_layout.h"

#include <gtest/gtest.h>

#include "base/limits.h"

namespace godwit::adapters {
namespace {

TEST(RowLayout, PartitionsNeverInterleave) {
  const std::vector<Bytes> partitions = {
      {},           {0x00},       {0x61},
      {0x61, 0x00}, {0xff},       {0xff, 0xff},
      {0x61, 0x62}, {0x02, 0x61}, Bytes(limits::kMaxPartition, 0xff)};
  const std::vector<Bytes> keys = {{}, {0x00}, {0x61}, {0xff}, Bytes(limits::kMaxKey, 0xff)};
  for (const Bytes& partition : partitions) {
    for (const Bytes& key : keys) {
      const std::string stored = stored_key(partition, key);
      EXPECT_EQ(to_bytes(row_key(stored)), key);
      for (const Bytes& other : partitions) {
        const bool inside = stored >= stored_key(other, {}) && stored < partition_end(other);
        EXPECT_EQ(inside, other == partition);
      }
    }
  }
}

TEST(RowLayout, AValueCarriesItsExpiry) {
  for (const Instant expires : {Instant{0}, Instant{1700000000000}, kNever}) {
    const std::string stored = stored_value(expires, view_of("octets"));
    const auto parsed = parse_value(stored);
    ASSERT_TRUE(parsed);
    EXPECT_EQ(parsed->expires, expires);
    EXPECT_EQ(text_of(parsed->value), "octets");
  }
  EXPECT_TRUE(parse_value(stored_value(kNever, {})));
  EXPECT_FALSE(parse_value("1234567"));
}

}  // namespace
}  // namespace godwit::adapters
