#include "e2e/prekey.h"

#include <gtest/gtest.h>

namespace godwit::e2e {
namespace {

template <typename T>
void expect_refuses_prefixes(ByteView record) {
  for (std::size_t size = 0; size < record.size(); ++size) {
    EXPECT_FALSE(T::parse(record.first(size))) << size;
  }
}

TEST(Identity, RoundTrip) {
  SeededEntropy entropy(1);
  const auto own = LocalIdentity::generate(entropy);
  EXPECT_GE(own.registration_id, 1);
  EXPECT_LE(own.registration_id, 16380);
  const auto record = own.serialize();
  const auto parsed = LocalIdentity::parse(record.view());
  ASSERT_TRUE(parsed);
  EXPECT_TRUE(same(parsed->serialize().view(), record.view()));
  EXPECT_EQ(parsed->public_key(), own.public_key());
  expect_refuses_prefixes<LocalIdentity>(record.view());

  const auto signature = parsed->sign(view_of("text"), entropy);
  EXPECT_TRUE(verify(own.public_key(), view_of("text"), signature));
  EXPECT_FALSE(verify(own.public_key(), view_of("test"), signature));
  EXPECT_FALSE(verify(own.public_key(), view_of("text"), ByteView(signature).first(63)));
}

TEST(Identity, PublicKeyWireForm) {
  const PublicKey key{{1, 2, 3}};
  const auto wire = key.wire();
  EXPECT_EQ(wire[0], 5);
  EXPECT_EQ(*PublicKey::parse(wire), key);
  EXPECT_FALSE(PublicKey::parse(ByteView(wire).first(32)));
  Bytes longer = to_bytes(wire);
  longer.push_back(0);
  EXPECT_FALSE(PublicKey::parse(longer));
  longer.resize(33);
  longer[0] = 8;
  EXPECT_FALSE(PublicKey::parse(longer));
}

TEST(Identity, KemPublicKeyWireForm) {
  SeededEntropy entropy(3);
  const auto own = LocalIdentity::generate(entropy);
  const KemPublicKey key = KyberPrekey::make({1}, own, entropy).public_key();
  const auto wire = key.wire();
  EXPECT_EQ(*KemPublicKey::parse(wire), key);
  EXPECT_FALSE(KemPublicKey::parse(ByteView(wire).first(1568)));
  for (const std::uint8_t type : {std::uint8_t{5}, std::uint8_t{7}, std::uint8_t{10}}) {
    auto other = wire;
    other[0] = type;
    EXPECT_FALSE(KemPublicKey::parse(other)) << "only Kyber1024";
  }
  auto wide = wire;
  wide[1] = wide[2] = 0xff;
  EXPECT_FALSE(KemPublicKey::parse(wide)) << "a coefficient out of range";
}

TEST(Prekey, RoundTrip) {
  SeededEntropy entropy(2);
  const auto own = LocalIdentity::generate(entropy);
  const auto signed_prekey = SignedPrekey::make({7}, own, entropy);
  EXPECT_TRUE(verify(own.public_key(), signed_prekey.public_key().wire(), signed_prekey.signature));
  const auto record = signed_prekey.serialize();
  const auto parsed = SignedPrekey::parse(record.view());
  ASSERT_TRUE(parsed);
  EXPECT_EQ(parsed->id, signed_prekey.id);
  EXPECT_EQ(parsed->signature, signed_prekey.signature);
  EXPECT_TRUE(same(parsed->serialize().view(), record.view()));
  expect_refuses_prefixes<SignedPrekey>(record.view());

  const auto kyber = KyberPrekey::make({8}, own, entropy);
  EXPECT_TRUE(verify(own.public_key(), kyber.public_key().wire(), kyber.signature));
  const auto stored = kyber.serialize();
  const auto loaded = KyberPrekey::parse(stored.view());
  ASSERT_TRUE(loaded);
  EXPECT_EQ(loaded->public_key(), kyber.public_key());
  EXPECT_TRUE(same(loaded->serialize().view(), stored.view()));
  expect_refuses_prefixes<KyberPrekey>(stored.view());

  const auto many = make_one_time_prekeys({100}, 3, entropy);
  ASSERT_EQ(many.size(), 3u);
  EXPECT_EQ(many[2].id.value, 102u);
  EXPECT_NE(many[0].public_key(), many[1].public_key());
  const auto one = many[2].serialize();
  EXPECT_TRUE(same(OneTimePrekey::parse(one.view())->serialize().view(), one.view()));
  expect_refuses_prefixes<OneTimePrekey>(one.view());
}

}  // namespace
}  // namespace godwit::e2e
