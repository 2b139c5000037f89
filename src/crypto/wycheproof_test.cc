// Project Wycheproof's vectors: the edge cases on which implementations are known to fail.
#include <gtest/gtest.h>

#include "crypto/aead.h"
#include "crypto/cbc.h"
#include "crypto/curve.h"
#include "crypto/gcm_siv.h"
#include "crypto/hash.h"
#include "crypto/kdf.h"
#include "crypto/test_vectors.h"

namespace godwit::crypto {
namespace {

using vectors::array;
using vectors::hex;

template <typename Check>
void for_each(const std::string& file, int at_least, Check check) {
  int count = 0;
  const auto vectors = vectors::load("wycheproof/" + file);
  for (const auto& group : vectors["testGroups"]) {
    for (const auto& test : group["tests"]) {
      SCOPED_TRACE(file + " " + test["tcId"].dump() + ": " + test["comment"].get<std::string>());
      check(group, test, test["result"] != "invalid");
      ++count;
    }
  }
  EXPECT_GE(count, at_least);
}

TEST(Wycheproof, AesGcm) {
  int tested = 0;
  for_each("aes_gcm_test.json", 100, [&](const auto& group, const auto& test, bool valid) {
    if (group["ivSize"] != 96) return;  // the type system refuses other nonces
    ++tested;
    const Key key{array<32>(test["key"])};
    const auto nonce = array<12>(test["iv"]);
    const Bytes text = hex(test["msg"]), associated = hex(test["aad"]);
    Bytes sealed = hex(test["ct"]);
    append(sealed, hex(test["tag"]));

    Bytes opened = {7};
    EXPECT_EQ(aes_gcm_open(key.view(), nonce, associated, sealed, opened).has_value(), valid);
    Bytes expected = {7};
    if (valid) append(expected, text);
    EXPECT_EQ(opened, expected);

    Bytes out;
    aes_gcm_seal(key.view(), nonce, associated, text, out);
    EXPECT_EQ(out == sealed, valid);
  });
  EXPECT_GE(tested, 60);
}

TEST(Wycheproof, AesCbc) {
  for_each("aes_cbc_pkcs5_test.json", 70, [](const auto&, const auto& test, bool valid) {
    const Key key{array<32>(test["key"])};
    const auto iv = array<16>(test["iv"]);
    const Bytes text = hex(test["msg"]), sealed = hex(test["ct"]);
    const auto opened = aes_cbc_decrypt(key.view(), iv, sealed);
    ASSERT_EQ(opened.has_value(), valid);
    if (!valid) return;
    EXPECT_EQ(*opened, text);
    EXPECT_EQ(aes_cbc_encrypt(key.view(), iv, text), sealed);
  });
}

TEST(Wycheproof, AesGcmSiv) {
  for_each("aes_gcm_siv_test.json", 100, [](const auto&, const auto& test, bool valid) {
    const Key key{array<32>(test["key"])};
    const auto nonce = array<12>(test["iv"]);
    const Bytes text = hex(test["msg"]), associated = hex(test["aad"]);
    Bytes sealed = hex(test["ct"]);
    append(sealed, hex(test["tag"]));

    const auto opened = aes_gcm_siv_open(key.view(), nonce, associated, sealed);
    ASSERT_EQ(opened.has_value(), valid);
    if (!valid) return;
    EXPECT_EQ(*opened, text);
    EXPECT_EQ(aes_gcm_siv_seal(key.view(), nonce, associated, text), sealed);
  });
}

TEST(Wycheproof, HmacSha256) {
  for_each("hmac_sha256_test.json", 170, [](const auto& group, const auto& test, bool valid) {
    const Bytes tag = hex(test["tag"]), message = hex(test["msg"]);
    const std::size_t half = message.size() / 2;
    const Key mac = hmac_sha256(hex(test["key"]),
                                {ByteView(message).first(half), ByteView(message).subspan(half)});
    EXPECT_EQ(equal(mac.view().first(group["tagSize"].template get<std::size_t>() / 8), tag),
              valid);
  });
}

TEST(Wycheproof, HkdfSha256) {
  for_each("hkdf_sha256_test.json", 80, [](const auto&, const auto& test, bool valid) {
    if (!valid) return;  // only outputs that are too long: a CHECK
    Bytes out(test["size"].template get<std::size_t>());
    hkdf_sha256(hex(test["salt"]), hex(test["ikm"]), hex(test["info"]), out);
    EXPECT_EQ(out, hex(test["okm"]));
  });
}

TEST(Wycheproof, X25519) {
  for_each("x25519_test.json", 500, [](const auto&, const auto& test, bool) {
    const KeyPair own = KeyPair::from_private(array<32>(test["private"]));
    const auto shared = dh(own.private_key, array<32>(test["public"]));
    const Bytes expected = hex(test["shared"]);
    ASSERT_EQ(shared.has_value(), expected != Bytes(32)) << "all zeros must be refused";
    EXPECT_TRUE(!shared || equal(shared->view(), expected));
  });
}

}  // namespace
}  // namespace godwit::crypto
