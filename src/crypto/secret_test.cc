#include "crypto/secret.h"

#include <gtest/gtest.h>

#include <new>

namespace godwit::crypto {
namespace {

static_assert(!std::is_copy_constructible_v<Key> && !std::is_copy_assignable_v<Key>);
static_assert(!std::is_copy_constructible_v<SecretBytes>);
static_assert(std::is_nothrow_move_constructible_v<Key>);

constexpr ByteArray<4> kOctets = {1, 2, 3, 4};
constexpr ByteArray<4> kZeros = {};

TEST(Secret, MovingWipesTheSource) {
  Secret<4> from{kOctets};
  Secret<4> to = std::move(from);
  EXPECT_TRUE(equal(to.view(), kOctets));
  EXPECT_TRUE(equal(from.view(), kZeros));
  from = std::move(to);
  EXPECT_TRUE(equal(from.view(), kOctets));
  EXPECT_TRUE(equal(to.view(), kZeros));
}

TEST(Secret, DyingWipes) {
  alignas(Secret<4>) unsigned char place[sizeof(Secret<4>)];
  auto* secret = new (place) Secret<4>(kOctets);
  secret->~Secret<4>();
  EXPECT_TRUE(equal(ByteView(place, 4), kZeros));
}

TEST(Secret, ParseRefusesAnotherSize) {
  EXPECT_TRUE(Secret<4>::parse(kOctets));
  EXPECT_FALSE(Secret<5>::parse(kOctets));
}

TEST(Secret, Equal) {
  EXPECT_TRUE(equal({}, {}));
  EXPECT_FALSE(equal(kOctets, kZeros));
  EXPECT_FALSE(equal(kOctets, ByteView(kOctets).first(3)));
}

TEST(SecretBytes, ClonesMovesReleases) {
  SecretBytes a(to_bytes(kOctets));
  SecretBytes b = a.clone();
  a = std::move(b);
  EXPECT_EQ(std::move(a).release(), to_bytes(kOctets));
}

}  // namespace
}  // namespace godwit::crypto
