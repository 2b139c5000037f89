#include "e2e/resend.h"

#include "e2e/test_peer.h"

namespace godwit::e2e {
namespace {

TEST(DecryptionError, NamesTheRatchetKeyOfTheFailedMessage) {
  Peer alice(1), bob(2);
  ASSERT_TRUE(alice.start(bob.bundle()));
  const Encrypted first = alice.send("hello");
  ASSERT_TRUE(bob.read(first));
  const Encrypted answer = bob.send("hi");
  const auto of_first = DecryptionError::about_prekey(first.message, {5}, {1});
  const auto of_answer = DecryptionError::about_whisper(answer.message, {6}, {2});
  ASSERT_TRUE(of_first.ratchet_key);
  ASSERT_TRUE(of_answer.ratchet_key);
  EXPECT_NE(*of_first.ratchet_key, *of_answer.ratchet_key);
  EXPECT_EQ(DecryptionError::about_prekey(alice.send("again").message, {}, {}).ratchet_key,
            of_first.ratchet_key);
  EXPECT_FALSE(DecryptionError::about_whisper(first.message, {}, {}).ratchet_key);
  EXPECT_FALSE(DecryptionError::about_prekey({}, {}, {}).ratchet_key);
}

TEST(DecryptionError, SurvivesTheWire) {
  const DecryptionError without_key{{}, {1'234}, {3}, {}};
  const auto read = parse_plaintext(encode_plaintext(without_key));
  ASSERT_TRUE(read) << read.error().text;
  EXPECT_FALSE(read->ratchet_key);
  EXPECT_EQ(read->timestamp, Instant{1'234});
  EXPECT_EQ(read->device, DeviceId{3});
}

TEST(DecryptionError, NamesTheEnvelope) {
  SeededEntropy entropy(4);
  const DecryptionError error{{}, {1'234}, {3}, EnvelopeId::random(entropy)};
  const auto read = parse_plaintext(encode_plaintext(error));
  ASSERT_TRUE(read) << read.error().text;
  EXPECT_EQ(read->envelope, error.envelope);
  EXPECT_FALSE(parse_plaintext(encode_plaintext({{}, {5}, {1}, {}}))->envelope);
}

TEST(Plaintext, NothingElseMayComeUnencrypted) {
  const auto code = [](Bytes wire) { return parse_plaintext(wire).error().code; };
  EXPECT_EQ(code({}), Code::kCorrupt);
  EXPECT_EQ(code({0xc0}), Code::kCorrupt);
  EXPECT_EQ(code({0xc0, 0x80}), Code::kUnsupported);
  EXPECT_EQ(code({0xc0, 0x0a, 0x01, 0x41, 0x80}), Code::kUnsupported);  // a text message
  EXPECT_EQ(code({0xc0, 0x42, 0x02, 0x18, 0x01, 0x80}), Code::kCorrupt);  // no timestamp
  Bytes whole = encode_plaintext({{}, {5}, {1}, {}});
  for (std::size_t size = 0; size < whole.size(); ++size) {
    EXPECT_FALSE(parse_plaintext(ByteView(whole).first(size))) << size;
  }
  whole.push_back(0);
  EXPECT_EQ(code(whole), Code::kCorrupt);
}

}  // namespace
}  // namespace godwit::e2e
