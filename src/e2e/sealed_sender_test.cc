#include "e2e/sealed_sender.h"

#include <gtest/gtest.h>

#include "base/codec.h"
#include "base/limits.h"
#include "crypto/test_vectors.h"
#include "e2e/resend.h"

namespace godwit::e2e {
namespace {

using vectors::hex;

// Alice seals, Bob opens; the service has a trust root and one server.
class SealedSenderTest : public testing::Test {
 protected:
  SealedContent content(std::string_view text) {
    return {SealedType::kWhisper, certificate_, to_bytes(text), ContentHint::kResendable,
            to_bytes("group")};
  }
  SealedReceiver bob() const { return {bob_, kBob, {1}, {root_.public_key}}; }
  Bytes for_one() {
    return seal_for_one(content("one"), alice_, bob_.public_key(), entropy_).value();
  }
  Bytes for_many() {
    const std::vector<SealedRecipient> to = {{kBob, bob_.public_key(), {{{1}, 777}, {{2}, 0x3fff}}},
                                             {kCarol, carol_.public_key(), {{{1}, 1}}}};
    return seal_for_many(content("many"), alice_, to, entropy_).value();
  }
  static std::string outcome(const Result<SealedContent>& opened) {
    return opened ? to_string(opened->message) : std::string(code_name(opened.error().code));
  }

  static constexpr UserId kAlice{{0xa1}}, kBob{{0xb0}}, kCarol{{0xca}};
  static constexpr Instant kNow{1000}, kExpiry{2000};

  SeededEntropy entropy_{3};
  crypto::KeyPair root_ = crypto::KeyPair::generate(entropy_);
  crypto::KeyPair server_ = crypto::KeyPair::generate(entropy_);
  LocalIdentity alice_ = LocalIdentity::generate(entropy_);
  LocalIdentity bob_ = LocalIdentity::generate(entropy_);
  LocalIdentity carol_ = LocalIdentity::generate(entropy_);
  ServerCertificate server_certificate_ =
      ServerCertificate::issue(7, {server_.public_key}, root_, entropy_);
  SenderCertificate certificate_ = SenderCertificate::issue(
      kAlice, {1}, alice_.public_key(), kExpiry, server_certificate_, server_, entropy_);
};

TEST_F(SealedSenderTest, OpensWhatWasSealed) {
  const Bytes sent = for_many();  // what `split` borrows
  const auto split = SplitSealed::parse(sent);
  for (const Bytes& received : {for_one(), split->received_by(split->recipients[0])}) {
    const auto opened = open_sealed(received, bob(), kNow);
    ASSERT_TRUE(opened) << opened.error().text;
    EXPECT_EQ(opened->type, SealedType::kWhisper);
    EXPECT_EQ(opened->hint, ContentHint::kResendable);
    EXPECT_EQ(to_string(opened->group_id), "group");
    EXPECT_EQ(opened->sender.user, kAlice);
    EXPECT_EQ(opened->sender.device, DeviceId{1});
    EXPECT_EQ(opened->sender.expires, kExpiry);
    EXPECT_EQ(opened->sender.server.id, 7u);
  }
}

TEST_F(SealedSenderTest, TheServerSplitsWithoutAnyKey) {
  const Bytes sent = for_many();
  const auto split = SplitSealed::parse(sent).value();
  ASSERT_EQ(split.recipients.size(), 2u);
  EXPECT_EQ(split.recipients[0].user, kBob);
  EXPECT_EQ(split.recipients[0].devices,
            (std::vector<SealedRecipient::Device>{{{1}, 777}, {{2}, 0x3fff}}));
  const Bytes for_bob = split.received_by(split.recipients[0]);
  const Bytes for_carol = split.received_by(split.recipients[1]);
  EXPECT_EQ(outcome(open_sealed(for_bob, bob(), kNow)), "many");
  EXPECT_EQ(outcome(open_sealed(for_carol, {carol_, kCarol, {1}, {root_.public_key}}, kNow)),
            "many");
  EXPECT_EQ(outcome(open_sealed(for_carol, bob(), kNow)), "corrupt");
}

TEST_F(SealedSenderTest, EveryChangedOctetIsNoticed) {
  const Bytes sent = for_many();
  const auto split = SplitSealed::parse(sent).value();
  for (const Bytes& received : {for_one(), split.received_by(split.recipients[0])}) {
    for (std::size_t at = 0; at < received.size(); ++at) {
      Bytes forged = received;
      forged[at] ^= 0x10;
      EXPECT_FALSE(open_sealed(forged, bob(), kNow)) << at;
      EXPECT_FALSE(open_sealed(ByteView(received).first(at), bob(), kNow)) << at;
    }
  }
}

TEST_F(SealedSenderTest, EveryTruncationOfTheSentFormIsHandled) {
  const Bytes sent = for_many();
  const std::size_t keys_end = sent.size() - content("many").encode().size() - 16 - 32;
  for (std::size_t size = 0; size < keys_end + 48; ++size) {
    EXPECT_FALSE(SplitSealed::parse(ByteView(sent).first(size))) << size;
  }
}

TEST_F(SealedSenderTest, TheCertificateMustBeValid) {
  const Bytes sealed = for_one();
  EXPECT_EQ(outcome(open_sealed(sealed, bob(), kExpiry)), "one");
  EXPECT_EQ(outcome(open_sealed(sealed, bob(), {kExpiry.ms + 1})), "expired");
  EXPECT_EQ(outcome(open_sealed(sealed, {bob_, kBob, {1}, carol_.public_key()}, kNow)),
            "forbidden");

  // A server that the root signed, but a certificate that the server did not.
  certificate_ = SenderCertificate::issue(kCarol, {1}, alice_.public_key(), kExpiry,
                                          server_certificate_, alice_.keys, entropy_);
  EXPECT_EQ(outcome(open_sealed(for_one(), bob(), kNow)), "forbidden");
  // A certificate that its server signed, but a server that the root did not.
  certificate_ = SenderCertificate::issue(
      kCarol, {1}, alice_.public_key(), kExpiry,
      ServerCertificate::issue(7, {server_.public_key}, alice_.keys, entropy_), server_, entropy_);
  EXPECT_EQ(outcome(open_sealed(for_one(), bob(), kNow)), "forbidden");
}

TEST_F(SealedSenderTest, NobodySealsWithTheCertificateOfAnother) {
  EXPECT_EQ(seal_for_one(content("x"), carol_, bob_.public_key(), entropy_).error().code,
            Code::kForbidden);
  const std::vector<SealedRecipient> to = {{kBob, bob_.public_key(), {{{1}, 1}}}};
  EXPECT_EQ(seal_for_many(content("x"), carol_, to, entropy_).error().code, Code::kForbidden);

  // Carol, who does not ask first: she puts Alice's certificate into content that she seals.
  SealedContent stolen = content("I am Alice");
  stolen.sender.identity_key = carol_.public_key();
  const Bytes one = seal_for_one(stolen, carol_, bob_.public_key(), entropy_).value();
  EXPECT_EQ(outcome(open_sealed(one, bob(), kNow)), "corrupt");
  const Bytes many = seal_for_many(stolen, carol_, to, entropy_).value();
  const auto split = SplitSealed::parse(many).value();
  EXPECT_EQ(outcome(open_sealed(split.received_by(split.recipients[0]), bob(), kNow)), "corrupt");
}

TEST_F(SealedSenderTest, OwnMessagesAreRefused) {
  const auto as = [&](UserId user, DeviceId device) {
    return SealedReceiver{alice_, user, device, {root_.public_key}};
  };
  const Bytes to_self = seal_for_one(content("me"), alice_, alice_.public_key(), entropy_).value();
  EXPECT_EQ(outcome(open_sealed(to_self, as(kAlice, {1}), kNow)), "duplicate");
  EXPECT_EQ(outcome(open_sealed(to_self, as(kAlice, {2}), kNow)), "me");  // a companion's
}

TEST_F(SealedSenderTest, Bounded) {
  const auto code = [&](const std::vector<SealedRecipient>& to) {
    return seal_for_many(content("x"), alice_, to, entropy_).error().code;
  };
  EXPECT_EQ(code({}), Code::kInvalid);
  EXPECT_EQ(code({{kBob, bob_.public_key(), {}}}), Code::kInvalid);
  EXPECT_EQ(code({{kBob, bob_.public_key(), {{{1}, 0x4000}}}}), Code::kInvalid);
  EXPECT_EQ(code({{kBob, bob_.public_key(), {{{0}, 1}}}}), Code::kInvalid);
  EXPECT_EQ(code({{kBob, {}, {{{1}, 1}}}}), Code::kCorrupt);  // a point of small order
  EXPECT_EQ(code(std::vector<SealedRecipient>(limits::kSealedRecipients + 1)), Code::kInvalid);
  EXPECT_EQ(seal_for_one(content("x"), alice_, {}, entropy_).error().code, Code::kCorrupt);
  Bytes sent = {0x23};
  put_varint(sent, limits::kSealedRecipients + 1);
  EXPECT_EQ(SplitSealed::parse(sent).error().code, Code::kTooLarge);
  EXPECT_EQ(SplitSealed::parse(Bytes{0x24}).error().code, Code::kUnsupported);
}

TEST_F(SealedSenderTest, ReadsWhoWasLeftOut) {
  Bytes sent = {0x23, 1, 0x00};
  append(sent, kCarol.octets);
  sent.push_back(0);
  sent.resize(sent.size() + 48);
  const auto split = SplitSealed::parse(sent);
  ASSERT_TRUE(split) << split.error().text;
  EXPECT_EQ(split->recipients[0].user, kCarol);
  EXPECT_TRUE(split->recipients[0].devices.empty());
}

class OfficialClient : public testing::TestWithParam<const char*> {
 protected:
  OfficialClient()
      : vector_(vectors::load("signal/authentic-libsignal-" + std::string(GetParam()) + ".json")),
        own_{crypto::KeyPair::from_private(
            vectors::array<32>(vector_["recipient"]["identityPrivate"]))},
        trust_root_(PublicKey::parse(hex(vector_["sealedSenderV1"]["trustRootPublic"])).value()) {}
  SealedReceiver receiver() const {
    return {own_, {vectors::array<16>("6838237d02f64098b110698253d15961")}, {1}, trust_root_};
  }

  nlohmann::json vector_;
  LocalIdentity own_;
  PublicKey trust_root_;
  Instant now_{1'700'000'000'000};
};

TEST_P(OfficialClient, Certificates) {
  const auto& vector = vector_["sealedSenderV1"];
  const auto sender = SenderCertificate::parse(hex(vector["senderCertificate"]));
  ASSERT_TRUE(sender) << sender.error().text;
  EXPECT_EQ(sender->server.wire, hex(vector["serverCertificate"]));
  EXPECT_EQ(sender->user.octets, vectors::array<16>("9d0652a3dcc34d11975f74d61598733f"));
  EXPECT_EQ(sender->device, DeviceId{1});
  EXPECT_EQ(sender->expires, Instant{3'133'700'000'000});
  EXPECT_EQ(sender->identity_key, PublicKey::parse(hex(vector_["senderIdentityPublic"])).value());
  EXPECT_TRUE(sender->validate(trust_root_, now_));
}

TEST_P(OfficialClient, SealedForOne) {
  const auto opened = open_sealed(hex(vector_["sealedSenderV1"]["message"]), receiver(), now_);
  ASSERT_TRUE(opened) << opened.error().text;
  EXPECT_EQ(opened->type, SealedType::kPrekey);
  EXPECT_EQ(opened->sender.wire, hex(vector_["sealedSenderV1"]["senderCertificate"]));
}

TEST_P(OfficialClient, SealedForMany) {
  const auto& vector = vector_["sealedSenderV2"];
  const Bytes sent = hex(vector["sent"]);
  const auto split = SplitSealed::parse(sent);
  ASSERT_TRUE(split) << split.error().text;
  ASSERT_EQ(split->recipients.size(), 1u);
  EXPECT_EQ(split->recipients[0].user, receiver().user);
  EXPECT_EQ(split->recipients[0].devices, (std::vector<SealedRecipient::Device>{{{1}, 777}}));
  EXPECT_EQ(split->received_by(split->recipients[0]), hex(vector["received"]));

  const auto opened = open_sealed(hex(vector["received"]), receiver(), now_);
  if (GetParam() == std::string_view("0.22.0-v3")) {
    // Derives its ephemeral key in the way that libsignal itself gave up in August 2023.
    EXPECT_EQ(opened.error().code, Code::kCorrupt);
    return;
  }
  ASSERT_TRUE(opened) << opened.error().text;
  EXPECT_EQ(opened->type, SealedType::kSenderKey);
  EXPECT_EQ(opened->encode(), hex(vector["usmc"]));
}

TEST_P(OfficialClient, DecryptionError) {
  const auto& vector = vector_["decryptionErrorMessage"];
  const auto error = DecryptionError::parse(hex(vector["bytes"]));
  ASSERT_TRUE(error) << error.error().text;
  EXPECT_TRUE(error->ratchet_key);
  EXPECT_EQ(error->timestamp, Instant{1'234'567'890'123});
  EXPECT_EQ(error->device, DeviceId{1});
  EXPECT_EQ(error->encode(), hex(vector["bytes"]));
  EXPECT_EQ(encode_plaintext(*error), hex(vector["asPlaintextContent"]));
  EXPECT_EQ(parse_plaintext(hex(vector["asPlaintextContent"])).value().encode(),
            hex(vector["bytes"]));
}

INSTANTIATE_TEST_SUITE_P(Versions, OfficialClient,
                         testing::Values("0.22.0-v3", "0.103.0-v4-spqr-required"));

}  // namespace
}  // namespace godwit::e2e
