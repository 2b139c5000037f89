#include "e2e/sender_key.h"

#include <gtest/gtest.h>

#include "base/limits.h"
#include "crypto/test_vectors.h"

namespace godwit::e2e {
namespace {

constexpr DistributionId kGroup = {1, 2, 3};

class SenderKeyTest : public testing::Test {
 protected:
  SenderKeyTest() {
    mine_.create(kGroup, entropy_);
    EXPECT_TRUE(theirs_.learn(mine_.distribution_message().value()));
  }
  Bytes say(std::string_view text) { return mine_.encrypt(view_of(text), entropy_).value(); }
  // Through the store each time, so that whatever is not serialised is lost.
  Result<std::string> hear(ByteView message) {
    theirs_ = SenderKey::parse(theirs_.serialize().view()).value();
    const Bytes before = to_bytes(theirs_.serialize().view());
    auto plain = theirs_.decrypt(message);
    if (plain) return to_string(*plain);
    EXPECT_EQ(to_bytes(theirs_.serialize().view()), before) << "an error changed the record";
    return fail(plain.error());
  }

  SeededEntropy entropy_{5};
  SenderKey mine_;
  SenderKey theirs_;
};

TEST_F(SenderKeyTest, InAnyOrderAndOnce) {
  std::vector<Bytes> sent;
  for (int i = 0; i < 50; ++i) sent.push_back(say(std::to_string(i)));
  for (const int i : {3, 0, 49, 1, 2, 30}) EXPECT_EQ(hear(sent[i]).value(), std::to_string(i));
  EXPECT_EQ(hear(sent[30]).error().code, Code::kDuplicate);
  EXPECT_EQ(hear(sent[29]).value(), "29");
}

TEST_F(SenderKeyTest, AForgedOrChangedMessageChangesNothing) {
  const Bytes message = say("hello");
  for (std::size_t at = 0; at < message.size(); ++at) {
    Bytes forged = message;
    forged[at] ^= 4;
    EXPECT_FALSE(hear(forged)) << at;
  }
  EXPECT_EQ(hear(message).value(), "hello");
}

TEST_F(SenderKeyTest, WhoIsToldLaterReadsNothingEarlier) {
  const Bytes before = say("before");
  SenderKey late;
  ASSERT_TRUE(late.learn(mine_.distribution_message().value()));
  const Bytes after = say("after");
  EXPECT_EQ(late.decrypt(before).error().code, Code::kDuplicate);
  EXPECT_EQ(to_string(late.decrypt(after).value()), "after");
}

TEST_F(SenderKeyTest, AfterARotationTheOldKeyReadsNothing) {
  SenderKey removed = theirs_.clone();
  mine_.create(kGroup, entropy_);
  ASSERT_TRUE(theirs_.learn(mine_.distribution_message().value()));
  const Bytes message = say("without you");
  EXPECT_EQ(removed.decrypt(message).error().code, Code::kNotFound);
  EXPECT_EQ(hear(message).value(), "without you");
}

TEST_F(SenderKeyTest, ARepeatedDistributionNeverRewinds) {
  const Bytes distribution = mine_.distribution_message().value();
  const Bytes message = say("once");
  EXPECT_EQ(hear(message).value(), "once");
  ASSERT_TRUE(theirs_.learn(distribution));
  EXPECT_EQ(hear(message).error().code, Code::kDuplicate);
}

TEST_F(SenderKeyTest, Bounded) {
  for (std::size_t i = 0; i < limits::kSenderKeyChains; ++i) {
    mine_.create(kGroup, entropy_);
    ASSERT_TRUE(theirs_.learn(mine_.distribution_message().value()));
  }
  const Bytes first = say("0");
  for (std::uint32_t i = 0; i < limits::kSkippedSeeds; ++i) say("");
  EXPECT_EQ(hear(say("far")).value(), "far");
  EXPECT_EQ(hear(first).error().code, Code::kDuplicate);  // the oldest skipped seed is gone
  for (std::uint32_t i = 0; i <= limits::kForwardJump; ++i) say("");
  EXPECT_EQ(hear(say("too far")).error().code, Code::kCorrupt);
}

TEST_F(SenderKeyTest, ReadsWhatTheOfficialClientWrote) {
  for (const char* version : {"0.22.0-v3", "0.103.0-v4-spqr-required"}) {
    SCOPED_TRACE(version);
    const auto file = vectors::load("signal/authentic-libsignal-" + std::string(version) + ".json");
    const auto& vector = file["senderKeyDistribution"];
    SenderKey key;
    ASSERT_TRUE(key.learn(vectors::hex(vector["message"])));
    for (const auto& message : vector["groupMessages"]) {
      const auto text = key.decrypt(vectors::hex(message["message"]));
      ASSERT_TRUE(text);
      EXPECT_EQ(to_string(*text), vectors::text(message["plaintext"]));
    }
  }
}

}  // namespace
}  // namespace godwit::e2e
