#include "e2e/skipped_keys.h"

#include <gtest/gtest.h>

namespace godwit::e2e {
namespace {

crypto::Key key_of(std::uint32_t number) {
  crypto::Key key;
  Bytes octets;
  put_be32(octets, number);
  std::ranges::copy(octets, key.mutable_view().begin());
  return key;
}

void skip(SkippedKeys& keys, std::uint32_t first, std::uint32_t end) {
  keys.skip(first, end, [number = first]() mutable { return key_of(number++); });
}

TEST(SkippedKeys, EachIsGivenOnceInAnyOrder) {
  SkippedKeys keys;
  skip(keys, 3, 6);
  skip(keys, 9, 10);
  for (const std::uint32_t number : {4u, 9u, 3u, 5u}) {
    const auto key = keys.take(number);
    ASSERT_TRUE(key) << number;
    EXPECT_TRUE(crypto::equal(key->view(), key_of(number).view()));
    EXPECT_FALSE(keys.take(number));
  }
  EXPECT_EQ(keys.size(), 0u);
  EXPECT_FALSE(keys.take(6));
}

TEST(SkippedKeys, TheNewestAreKept) {
  constexpr std::uint32_t kMost = limits::kSkippedSeeds;
  SkippedKeys keys;
  skip(keys, 0, kMost + 10);
  EXPECT_FALSE(keys.take(9));
  EXPECT_TRUE(keys.take(10));
  skip(keys, kMost + 20, kMost + 25);
  EXPECT_FALSE(keys.take(13));
  EXPECT_TRUE(keys.take(14 + 1));
  EXPECT_TRUE(keys.take(kMost + 24));
  EXPECT_LE(keys.size(), kMost * 36);
}

TEST(SkippedKeys, ParsesWhatItStores) {
  SkippedKeys keys;
  skip(keys, 0, limits::kSkippedSeeds);
  auto loaded = SkippedKeys::parse(keys.view());
  ASSERT_TRUE(loaded);
  EXPECT_TRUE(same(loaded->view(), keys.clone().view()));
  EXPECT_TRUE(SkippedKeys::parse({}));
  EXPECT_FALSE(SkippedKeys::parse(keys.view().first(35)));
  EXPECT_FALSE(SkippedKeys::parse(Bytes((limits::kSkippedSeeds + 1) * 36)));
}

}  // namespace
}  // namespace godwit::e2e
