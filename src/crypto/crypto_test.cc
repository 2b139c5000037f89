// Hashes, XEdDSA, the field, Argon2id, randomness: what Wycheproof has no vectors for.
#include <gtest/gtest.h>

#include <numeric>

#include <set>

#include "crypto/ctr.h"
#include "crypto/field.h"
#include "crypto/gcm_siv.h"
#include "crypto/hash.h"
#include "crypto/password.h"
#include "crypto/short_hash.h"
#include "crypto/system_entropy.h"
#include "crypto/test_vectors.h"
#include "crypto/xeddsa.h"

namespace godwit::crypto {
namespace {

using vectors::array;
using vectors::hex;

// FIPS 180-4 examples.
TEST(Hash, Sha2) {
  EXPECT_EQ(to_hex(sha256(view_of("abc"))),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(to_hex(sha512({view_of("a"), view_of(""), view_of("bc")})),
            "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
            "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f");
}

TEST(Hash, Sha256InPieces) {
  Sha256 hash;
  EXPECT_EQ(hash.digest(), sha256({}));
  hash.add(view_of("a"));
  Sha256 other = hash;
  hash.add(view_of("bc"));
  other.add(Bytes(200, 'x'));
  EXPECT_EQ(hash.digest(), sha256(view_of("abc")));
  EXPECT_EQ(hash.digest(), hash.digest());
  EXPECT_EQ(other.digest(), sha256({view_of("a"), Bytes(200, 'x')}));
}

// The expected stream is `openssl enc -aes-256-ctr` over zeros, with an IV of zeros.
TEST(AesCtr, IsTheBlockCipherOverACounter) {
  const Key key{array<32>("603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4")};
  const Bytes stream = aes_ctr(key.view(), Bytes(40));
  EXPECT_EQ(to_hex(stream),
            "e568f68194cf76d6174d4cc04310a85491151e5d0b7a1f1bc0d7acd0ae3e51e4170e23d1735cd2d5");
  const Bytes text = to_bytes("sixteen octets and then some");
  EXPECT_EQ(aes_ctr(key.view(), aes_ctr(key.view(), text)), text);
  EXPECT_TRUE(aes_ctr(key.view(), {}).empty());
}

TEST(AesGcmSiv, EveryFlippedBitIsNoticed) {
  const Key key{array<32>("603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4")};
  const ByteArray<kGcmSivNonce> nonce{};
  const Bytes sealed = aes_gcm_siv_seal(key.view(), nonce, view_of("head"), view_of("a text"));
  for (std::size_t bit = 0; bit < sealed.size() * 8; ++bit) {
    Bytes forged = sealed;
    forged[bit / 8] ^= static_cast<std::uint8_t>(1 << bit % 8);
    EXPECT_FALSE(aes_gcm_siv_open(key.view(), nonce, view_of("head"), forged)) << bit;
  }
  EXPECT_FALSE(aes_gcm_siv_open(key.view(), nonce, view_of("HEAD"), sealed));
  EXPECT_FALSE(aes_gcm_siv_open(key.view(), nonce, view_of("head"), ByteView(sealed).first(15)));
}

TEST(Xeddsa, Vectors) {
  const auto file = vectors::load("signal/xeddsa.json");
  EXPECT_EQ(file["cases"].size(), 12u);
  for (const auto& test : file["cases"]) {
    const auto own = KeyPair::from_private(array<32>(test["private"]));
    const auto message = hex(test["message"]);
    const auto expected = array<64>(test["signature"]);
    EXPECT_EQ(own.public_key, array<32>(test["public"]));
    EXPECT_TRUE(xeddsa_verify(own.public_key, message, expected));
    EXPECT_TRUE(xeddsa_verify(own.public_key, message, array<64>(test["officialSignature"])));
    for (const auto& invalid : test["invalid"]) {
      EXPECT_FALSE(xeddsa_verify(own.public_key, message, array<64>(invalid)));
    }
    const auto made = xeddsa_sign(own.private_key, message, array<64>(test["random64"]));
    EXPECT_TRUE(xeddsa_verify(own.public_key, message, made));
    if (test["variant"].get<std::string>().starts_with("libsignal")) {
      EXPECT_EQ(made, expected);
    }
  }
}

TEST(Xeddsa, RefusesTheKeyWithoutEdwardsForm) {
  CurvePoint minus_one;
  minus_one.fill(0xff);
  minus_one[0] = 0xec;
  minus_one[31] = 0x7f;
  EXPECT_EQ(edwards_y(minus_one), (ByteArray<32>{}));
  EXPECT_FALSE(xeddsa_verify(minus_one, {}, Signature{}));
}

TEST(Field, InverseAndEdges) {
  SeededEntropy entropy(1);
  for (int i = 0; i < 200; ++i) {
    const Field a = Field::parse(entropy.draw<32>());
    EXPECT_EQ((a * a.inverse()).canonical(), Field::one().canonical());
    EXPECT_EQ((a - a).canonical(), (ByteArray<32>{}));
    EXPECT_EQ((a + Field::one() - a).canonical(), Field::one().canonical());
  }
  ByteArray<32> all_ones;
  all_ones.fill(0xff);  // 2^255 - 1 = p + 18
  EXPECT_EQ(Field::parse(all_ones).canonical()[0], 18);
  EXPECT_EQ(Field::parse({}).inverse().canonical(), (ByteArray<32>{}));
}

TEST(Curve, PrimeOrder) {
  SeededEntropy entropy(2);
  for (int i = 0; i < 20; ++i) {
    const auto pair = KeyPair::generate(entropy);
    EXPECT_TRUE(is_prime_order(pair.public_key));
    CurvePoint high_bit = pair.public_key;
    high_bit[31] |= 0x80;
    EXPECT_FALSE(is_prime_order(high_bit)) << "not canonical";
  }
  EXPECT_FALSE(is_prime_order({}));
  EXPECT_FALSE(is_prime_order({1}));
  // A prime-order point plus the point of order two (0, 0), that is, 1/u.
  const auto pair = KeyPair::generate(entropy);
  EXPECT_FALSE(is_prime_order(Field::parse(pair.public_key).inverse().canonical()));
  // On the twist: no Edwards point at all.
  EXPECT_FALSE(is_prime_order({2}));
}

TEST(Curve, ClampsAndAgrees) {
  SeededEntropy entropy(3);
  const auto a = KeyPair::generate(entropy), b = KeyPair::generate(entropy);
  EXPECT_EQ(a.private_key.view()[0] & 7, 0);
  EXPECT_EQ(a.private_key.view()[31] >> 6, 1);
  EXPECT_TRUE(
      equal(dh(a.private_key, b.public_key)->view(), dh(b.private_key, a.public_key)->view()));
}

// The key was computed by @noble/hashes 2, an independent implementation.
TEST(Password, Argon2id) {
  const ByteArray<16> salt = {1, 2, 3};
  const Argon2Cost cheap{2, 64};
  const auto key = argon2id(view_of("correct horse"), salt, cheap);
  ASSERT_TRUE(key);
  EXPECT_EQ(to_hex(key->view()),
            "b0af4690fa3b7f8a87ebcb78ae8663adae76bc3a5177899748f410e86f6a2fd3");
  EXPECT_FALSE(equal(key->view(), argon2id(view_of("correct horsf"), salt, cheap)->view()));
  const ByteArray<16> other_salt = {9};
  EXPECT_FALSE(equal(key->view(), argon2id(view_of("correct horse"), other_salt, cheap)->view()));
  EXPECT_EQ(argon2id(view_of("x"), salt, {0, 8}).error().code, Code::kInvalid);
  EXPECT_EQ(argon2id(view_of("x"), salt, {1, 7}).error().code, Code::kInvalid);
}

TEST(SystemEntropy, FillsEverySize) {
  SystemEntropy entropy;
  std::set<Bytes> seen;
  for (const std::size_t size : {16u, 255u, 256u, 257u, 1000u}) {
    Bytes bytes(size);
    entropy.fill(bytes);
    EXPECT_NE(ByteView(bytes).back() | bytes[size - 2] | bytes[size - 3] | bytes[size - 4], 0);
    seen.insert(bytes);
  }
  EXPECT_EQ(seen.size(), 5u);
}

// The example of appendix A of the paper.
TEST(ShortHash, IsSipHash) {
  ByteArray<16> key;
  std::iota(key.begin(), key.end(), std::uint8_t{0});
  ByteArray<15> data;
  std::iota(data.begin(), data.end(), std::uint8_t{0});
  EXPECT_EQ(short_hash(key, data), 0xe545be4961ca29a1u);
  key[0] = 1;
  EXPECT_NE(short_hash(key, data), 0xe545be4961ca29a1u);
}

}  // namespace
}  // namespace godwit::crypto
