#include "crypto/kem.h"

#include <gtest/gtest.h>

extern "C" {
#include <fips202.h>
}

#include <map>
#include <sstream>

#include "base/entropy.h"
#include "crypto/test_vectors.h"

namespace godwit::crypto {
namespace {

using vectors::array;
using vectors::hex;
using vectors::text;

constexpr auto kRound3 = Kem1024Variant::kKyberRound3;
constexpr auto kMlKem = Kem1024Variant::kMlKem;

// Both levels with the interface of a whole ML-KEM, for the vectors that treat them alike.
struct MlKem1024 {
  static constexpr std::size_t kPublicKey = 1568, kSecretKey = 3168, kCiphertext = 1568;
  Bytes public_key, secret_key;

  static MlKem1024 keygen(ByteView seed) {
    const auto pair = kem1024_keygen(*KemSeed::parse(seed));
    return {to_bytes(pair.public_key), to_bytes(pair.secret_key.view())};
  }
  static bool valid(const Bytes& key) { return kem1024_valid(*to_array<kPublicKey>(key)); }
  static std::pair<Bytes, Bytes> encaps(const Bytes& key, ByteView random) {
    const auto out = kem1024_encaps(kMlKem, *to_array<kPublicKey>(key), *KemRandom::parse(random));
    return {to_bytes(out.ciphertext), to_bytes(out.shared.view())};
  }
  static Bytes decaps(const Bytes& key, ByteView ciphertext) {
    return to_bytes(
        kem1024_decaps(kMlKem, *Kem1024SecretKey::parse(key), *to_array<kCiphertext>(ciphertext))
            .view());
  }
};

struct MlKem768 {
  static constexpr std::size_t kPublicKey = 1184, kSecretKey = 2400, kCiphertext = 1088;
  Bytes public_key, secret_key;

  static MlKem768 keygen(ByteView seed) {
    const auto pair = Kem768::keygen(*KemSeed::parse(seed));
    Bytes key = to_bytes(pair.vector);
    append(key, ByteView(pair.header).first(32));
    return {key, to_bytes(pair.secret_key.view())};
  }
  static Kem768::Header header_of(const Bytes& key) {
    Kem768::Header header;
    std::copy(key.end() - 32, key.end(), header.begin());
    sha3_256(header.data() + 32, key.data(), key.size());
    return header;
  }
  static Kem768::Vector vector_of(const Bytes& key) {
    return *to_array<1152>(ByteView(key).first(1152));
  }
  static bool valid(const Bytes& key) { return Kem768::valid(vector_of(key), header_of(key)); }
  static std::pair<Bytes, Bytes> encaps(const Bytes& key, ByteView random) {
    const auto first = Kem768::encaps1(header_of(key), *KemRandom::parse(random));
    Bytes ciphertext = to_bytes(first.first);
    append(ciphertext, Kem768::encaps2(vector_of(key), first.state));
    return {ciphertext, to_bytes(first.shared.view())};
  }
  static Bytes decaps(const Bytes& key, ByteView ciphertext) {
    return to_bytes(Kem768::decaps(*Kem768::SecretKey::parse(key),
                                   *to_array<960>(ciphertext.first(960)),
                                   *to_array<128>(ciphertext.subspan(960)))
                        .view());
  }
};

template <typename Kem>
class WholeKem : public testing::Test {};
using Levels = testing::Types<MlKem768, MlKem1024>;
TYPED_TEST_SUITE(WholeKem, Levels);

template <typename Kem>
std::string level() {
  return std::is_same_v<Kem, MlKem768> ? "768" : "1024";
}

// Calls `check(test, valid)` for every test of a Wycheproof file whose sizes the types can hold.
template <typename Kem>
int wycheproof(const std::string& name, auto check) {
  const auto file = vectors::load("wycheproof/mlkem_" + level<Kem>() + name);
  int count = 0;
  for (const auto& group : file["testGroups"]) {
    for (const auto& test : group["tests"]) {
      SCOPED_TRACE(name + " " + test["tcId"].dump());
      const auto fits = [&](const char* field, std::size_t size) {
        return !test.contains(field) || hex(test[field]).size() == size;
      };
      if (test["result"] == "invalid" &&
          !(fits("seed", 64) && fits("ek", Kem::kPublicKey) && fits("dk", Kem::kSecretKey) &&
            (hex(test["c"]).empty() || fits("c", Kem::kCiphertext)))) {
        continue;  // a wrong size: the types refuse it
      }
      check(test, test["result"] == "valid");
      ++count;
    }
  }
  return count;
}

TYPED_TEST(WholeKem, WycheproofKeygen) {
  const int count = wycheproof<TypeParam>("_keygen_seed_test.json", [](const auto& test, bool) {
    const auto pair = TypeParam::keygen(hex(test["seed"]));
    EXPECT_EQ(pair.public_key, hex(test["ek"]));
    EXPECT_EQ(pair.secret_key, hex(test["dk"]));
  });
  EXPECT_EQ(count, 25);
}

TYPED_TEST(WholeKem, WycheproofEncaps) {
  int refused = 0;
  const int count = wycheproof<TypeParam>("_encaps_test.json", [&](const auto& test, bool valid) {
    const Bytes key = hex(test["ek"]);
    ASSERT_EQ(TypeParam::valid(key), valid);
    refused += !valid;
    if (!valid) return;
    const auto [ciphertext, shared] = TypeParam::encaps(key, hex(test["m"]));
    EXPECT_EQ(ciphertext, hex(test["c"]));
    EXPECT_EQ(shared, hex(test["K"]));
  });
  EXPECT_GE(refused, 30);
  EXPECT_GE(count, refused + 20);
}

TYPED_TEST(WholeKem, WycheproofDecaps) {
  const int count = wycheproof<TypeParam>("_test.json", [](const auto& test, bool valid) {
    const auto pair = TypeParam::keygen(hex(test["seed"]));
    ASSERT_TRUE(valid);
    EXPECT_EQ(TypeParam::decaps(pair.secret_key, hex(test["c"])), hex(test["K"]));
  });
  EXPECT_GE(count, 15);
}

// Their invalid keys disagree with the hash inside. Ours come from our own store, so that nothing
// has to look for it.
TYPED_TEST(WholeKem, WycheproofExpandedDecaps) {
  int valid_ones = 0;
  wycheproof<TypeParam>("_semi_expanded_decaps_test.json", [&](const auto& test, bool valid) {
    if (!valid) return;
    ++valid_ones;
    EXPECT_EQ(TypeParam::decaps(hex(test["dk"]), hex(test["c"])), hex(test["K"]));
  });
  EXPECT_GE(valid_ones, 3);
}

// Long runs of rejections while the matrix is sampled. Their d and z are of a draft.
TYPED_TEST(WholeKem, UnluckySampling) {
  std::istringstream file(
      vectors::read_file("vectors/mlkem/cctv-unluckysample-" + level<TypeParam>() + ".txt"));
  std::map<std::string, Bytes> values;
  std::string name, equals, value;
  while (file >> name >> equals >> value) values[name] = *from_hex(value);
  ASSERT_EQ(values.size(), 7u);
  const auto [ciphertext, shared] = TypeParam::encaps(values["ek"], values["m"]);
  EXPECT_EQ(ciphertext, values["c"]);
  EXPECT_EQ(shared, values["K"]);
  EXPECT_EQ(TypeParam::decaps(values["dk"], ciphertext), shared);
}

// 10 000 cases, random ciphertexts included, by one hash.
TYPED_TEST(WholeKem, Accumulated) {
  const auto expected =
      vectors::load("mlkem/accumulated.json")["hash_10000"]["ML-KEM-" + level<TypeParam>()];
  shake128incctx source, hash;
  shake128_inc_init(&source);
  shake128_inc_finalize(&source);
  shake128_inc_init(&hash);
  const auto draw = [&](std::size_t size) {
    Bytes out(size);
    shake128_inc_squeeze(out.data(), size, &source);
    return out;
  };
  const auto absorb = [&](const Bytes& in) { shake128_inc_absorb(&hash, in.data(), in.size()); };
  for (int i = 0; i < 10000; ++i) {
    const auto pair = TypeParam::keygen(draw(64));
    const auto [ciphertext, shared] = TypeParam::encaps(pair.public_key, draw(32));
    ASSERT_EQ(TypeParam::decaps(pair.secret_key, ciphertext), shared);
    absorb(pair.public_key);
    absorb(pair.secret_key);
    absorb(ciphertext);
    absorb(shared);
    absorb(TypeParam::decaps(pair.secret_key, draw(TypeParam::kCiphertext)));
  }
  shake128_inc_finalize(&hash);
  Bytes digest(32);
  shake128_inc_squeeze(digest.data(), digest.size(), &hash);
  shake128_inc_ctx_release(&source);
  shake128_inc_ctx_release(&hash);
  EXPECT_EQ(to_hex(digest), text(expected));
}

void check_1024(const std::string& path, Kem1024Variant variant) {
  const auto file = vectors::load(path);
  const auto& cases = file.is_array() ? file : file["cases"];
  ASSERT_EQ(cases.size(), 3u);
  for (const auto& test : cases) {
    const auto public_key = array<1568>(test["publicKey"]);
    const Kem1024SecretKey secret_key(array<3168>(test["secretKey"]));
    EXPECT_TRUE(kem1024_valid(public_key));
    const auto out =
        kem1024_encaps(variant, public_key, KemRandom(array<32>(test["encapsRandom"])));
    EXPECT_EQ(to_hex(out.ciphertext), text(test["ciphertext"]));
    EXPECT_EQ(to_hex(out.shared.view()), text(test["sharedSecret"]));
    auto ciphertext = out.ciphertext;
    EXPECT_EQ(to_hex(kem1024_decaps(variant, secret_key, ciphertext).view()),
              text(test["sharedSecret"]));
    ciphertext[17] ^= 8;
    EXPECT_EQ(to_hex(kem1024_decaps(variant, secret_key, ciphertext).view()),
              text(test["corruptedCiphertextXor8At17_sharedSecret"]));
  }
}

TEST(Kem1024, KyberRound3) { check_1024("signal/kyber1024-round3.json", kRound3); }
TEST(Kem1024, MlKem) { check_1024("signal/mlkem1024-own.json", kMlKem); }

TEST(Kem1024, OurKeysServeBothVariants) {
  SeededEntropy entropy(1);
  const auto pair = kem1024_keygen(KemSeed(entropy.draw<64>()));
  for (const auto variant : {kRound3, kMlKem}) {
    const auto out = kem1024_encaps(variant, pair.public_key, KemRandom(entropy.draw<32>()));
    EXPECT_TRUE(
        equal(kem1024_decaps(variant, pair.secret_key, out.ciphertext).view(), out.shared.view()));
  }
}

TEST(Kem1024, EveryCoefficientIsChecked) {
  SeededEntropy entropy(2);
  const auto pair = kem1024_keygen(KemSeed(entropy.draw<64>()));
  for (std::size_t coefficient : {0, 1, 511, 1022, 1023}) {
    auto key = pair.public_key;  // 3329 = 0xd01
    const std::size_t at = coefficient / 2 * 3;
    if (coefficient % 2 == 0) {
      key[at] = 0x01;
      key[at + 1] = static_cast<std::uint8_t>((key[at + 1] & 0xf0) | 0x0d);
    } else {
      key[at + 1] = static_cast<std::uint8_t>((key[at + 1] & 0x0f) | 0x10);
      key[at + 2] = 0xd0;
    }
    EXPECT_FALSE(kem1024_valid(key)) << coefficient;
  }
}

TEST(Kem768, Incremental) {
  const auto file = vectors::load("signal/mlkem768-incremental.json");
  const auto& cases = file.is_array() ? file : file["cases"];
  ASSERT_EQ(cases.size(), 3u);
  for (const auto& test : cases) {
    const auto pair = Kem768::keygen(KemSeed(array<64>(test["seed_d_z"])));
    EXPECT_EQ(to_hex(pair.header), text(test["header"]));
    EXPECT_EQ(to_hex(pair.vector), text(test["ekVector"]));
    const auto out = Kem768::encaps1(pair.header, KemRandom(array<32>(test["encapsRandom"])));
    EXPECT_EQ(to_hex(out.first), text(test["ct1"]));
    EXPECT_EQ(to_hex(out.shared.view()), text(test["sharedSecret"]));
    ASSERT_TRUE(Kem768::valid(pair.vector, pair.header));
    const auto second = Kem768::encaps2(pair.vector, out.state);
    EXPECT_EQ(to_hex(second), text(test["ct2"]));
    EXPECT_TRUE(
        equal(Kem768::decaps(pair.secret_key, out.first, second).view(), out.shared.view()));

    auto other = pair.vector;
    other[100] ^= 1;
    EXPECT_FALSE(Kem768::valid(other, pair.header)) << "not the vector of the header";
  }
}

}  // namespace
}  // namespace godwit::crypto
