// What an account holds back from the store, told as its effects: what is committed, who is
// answered, and in which order.
#include "server/held.h"

#include <gtest/gtest.h>

#include "server/account.h"

namespace godwit::server {
namespace {

constexpr Duration kMost = milliseconds(200);
constexpr SessionAddress kPhone{{0}, {1}};
constexpr SessionAddress kSender{{0}, {2}};

class HeldTest : public testing::Test {
 protected:
  void SetUp() override {
    const Bytes key(proto::kMaxPublicKey, 5);
    const Bytes signature(proto::kSignature, 9);
    proto::Register form{.registration_id = 100,
                         .identity_key = key,
                         .signed_prekey = {1, key, signature},
                         .last_resort_prekey = {7, Bytes(proto::kKemPublicKey, 1), signature}};
    Message create;
    create.verb = Verb::kCreate;
    create.number = 1;
    create.request = 1;
    create.session = kPhone;
    create.body = encode(form);
    tell(create);
    attach();
  }
  void attach() {
    Message attach = of_phone(Verb::kAttach);
    attach.request = 2;
    tell(attach);
    Effects more;
    account_.on_rows({}, env(), more);  // the mailbox: empty
    account_.on_rows({}, env(), more);
  }
  Message of_phone(Verb verb, std::uint64_t number = 0) {
    Message m;
    m.verb = verb;
    m.session = kPhone;
    m.from_device = {1};
    m.number = number;
    return m;
  }
  Env& env() {
    env_.now = now_;
    return env_;
  }
  // "C" + rows put and erased for each Commit, "P" for each push, "A" + request for each answer to
  // the sender, "W" for each Wake.
  std::string told(const Effects& effects) {
    std::string out;
    for (const Effect& effect : effects) {
      if (const auto* commit = std::get_if<Commit>(&effect)) {
        int puts = 0, erased = 0;
        for (const auto& m : commit->batch.mutations) {
          if (m.space != ports::Space::kQueue) continue;
          ++(m.kind == ports::Mutation::Kind::kPut ? puts : erased);
        }
        out += "C" + std::to_string(puts) + "-" + std::to_string(erased) + " ";
      } else if (const auto* post = std::get_if<Post>(&effect)) {
        if (post->message.verb == Verb::kPush) out += "P ";
        else if (post->message.session == kSender) {
          out += "A" + std::to_string(post->message.request) + " ";
        }
      } else if (std::holds_alternative<Wake>(effect)) {
        out += "W ";
      }
    }
    return out;
  }
  std::string tell(const Message& message) {
    Effects out;
    account_.on_message(message, env(), out);
    for (const Effect& effect : out) {
      const auto* post = std::get_if<Post>(&effect);
      if (post == nullptr || post->message.verb != Verb::kPush) continue;
      proto::FrameReader reader;
      EXPECT_TRUE(reader.feed(post->message.body));
      const auto frame = reader.next();
      pushed_ = decode<proto::Deliver>((*frame)->body)->deliveries.back().sequence.value;
    }
    return told(out);
  }
  std::string submit(std::uint8_t n) {
    proto::Parcel parcel{{}, {1}, 100, proto::CiphertextType::kWhisper, Bytes(20, n)};
    parcel.id.octets = {n, 1};
    Message m;
    m.verb = Verb::kSubmit;
    m.from.octets[0] = 9;
    m.session = kSender;
    m.request = n;
    m.body = encode(proto::Submit{{}, {{{parcel}}}});
    return tell(m);
  }
  std::string wake() {
    Effects out;
    account_.on_wake(env(), out);
    return told(out);
  }

  Instant now_{1'000'000};
  SeededEntropy entropy_{1};
  Env env_{now_, entropy_};
  SequenceSource sequences_{1};
  Counters counters_;
  Account account_{{}, {{}}, {}, sequences_, counters_, kMost};
  std::uint64_t pushed_ = 0;  // the last
};

TEST_F(HeldTest, WhatIsAcknowledgedInTimeIsNeverStored) {
  EXPECT_EQ(submit(1), "P W ");
  EXPECT_EQ(tell(of_phone(Verb::kAck, pushed_)), "A1 ");
  now_ = now_ + kMost;
  EXPECT_EQ(wake(), "");
  EXPECT_EQ(account_.loss(now_), Entity::Loss::kMemory);
}

TEST_F(HeldTest, AnAcknowledgementCountsForWhatItCoversOnly) {
  submit(1);
  const std::uint64_t first = pushed_;
  EXPECT_EQ(submit(2), "P ");
  EXPECT_EQ(tell(of_phone(Verb::kAck, first)), "A1 ");
  now_ = now_ + kMost;
  EXPECT_EQ(wake(), "C1-0 A2 ");
  EXPECT_EQ(tell(of_phone(Verb::kAck, pushed_)), "C0-1 ");
}

TEST_F(HeldTest, TheAnswerWaitsForTheCommitWhenTheTimeIsOver) {
  submit(1);
  now_ = now_ + milliseconds(150);
  submit(2);
  EXPECT_EQ(wake(), "W ");
  now_ = now_ + milliseconds(50);
  EXPECT_EQ(wake(), "C2-0 A1 A2 ");
}

TEST_F(HeldTest, ARepetitionIsNotAcceptedBeforeWhatItRepeats) {
  submit(1);
  EXPECT_EQ(submit(1), "C1-0 A1 A1 ");
}

TEST_F(HeldTest, WhoLeavesOrComesAgainFindsEverythingStored) {
  submit(1);
  EXPECT_EQ(tell(of_phone(Verb::kDetach)), "C1-0 A1 ");
  EXPECT_EQ(submit(2), "C1-0 A2 ");  // nobody is there: as ever
}

TEST_F(HeldTest, WhatWasStoredInBetweenIsErasedAndTheRestIsNot) {
  submit(1);
  now_ = now_ + kMost;
  EXPECT_EQ(wake(), "C1-0 A1 ");
  EXPECT_EQ(submit(2), "P W ");
  EXPECT_EQ(tell(of_phone(Verb::kAck, pushed_)), "A2 C0-1 ");
}

TEST_F(HeldTest, ALostEntityRefusesWhatItHeld) {
  submit(1);
  Effects out;
  account_.on_lost(out);
  EXPECT_EQ(told(out), "A1 ");
}

TEST_F(HeldTest, AClockThatIsSetBackHoldsNothing) {
  submit(1);
  now_ = now_ + hours(-1);
  EXPECT_EQ(wake(), "C1-0 A1 ");
}

}  // namespace
}  // namespace godwit::server
