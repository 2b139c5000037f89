#include "client/sealing.h"

#include <gtest/gtest.h>

#include "client/test_world.h"

namespace godwit::client {
namespace {

using proto::CiphertextType;
using proto::Frame;
using proto::Kind;

class Sealed : public Conversation {
 protected:
  void SetUp() override {
    Conversation::SetUp();
    world.tamper = [this](UserId, proto::Envelope& envelope) {
      (envelope.from.is_nil() ? nameless : named) += 1;
    };
  }
  // Both have said something: they know each other's keys.
  void talk() {
    alice.send(kBob, "hello");
    world.settle();
    bob.send(kAlice, "hello too");
    world.settle();
    nameless = named = 0;
  }
  // What somebody with a session would have written to Bob, in a seal of the attacker's choice.
  void inject_sealed(Instant expires, bool forged) {
    SeededEntropy entropy(9);
    const auto mallory = e2e::LocalIdentity::generate(entropy);
    const auto to = e2e::PublicKey::parse(world.account(kBob).identity_key);
    const auto certificate =
        world.certificate(world.account(kAlice).user, mallory.public_key().wire(), expires, forged);
    const e2e::SealedContent content{.type = e2e::SealedType::kWhisper,
                                     .sender = certificate,
                                     .message = to_bytes("not even encrypted")};
    inject(*e2e::seal_for_one(content, mallory, *to, entropy), CiphertextType::kSealed, {0});
  }
  std::size_t refusals() { return bob.events<SenderRefused>().size(); }

  int nameless = 0, named = 0;  // envelopes that were stored
};

TEST(AccessKey, IsTheFirstBlockOfTheProfileKeysStream) {
  // The specification of GCM, test case 14: key, nonce and text all zero.
  EXPECT_EQ(to_hex(Sealing::access_key(Bytes(32, 0))), "cea7403d4d606b6e074ec5d3baf39d18");
  EXPECT_EQ(Sealing::access_key(Bytes(31, 0)), proto::AccessKey{});
}

TEST_F(Sealed, AStrangersFirstWordsHaveANameAndTheAnswersHaveNone) {
  alice.send(kBob, "one");
  world.settle();
  EXPECT_EQ(named, 1);     // Alice cannot write to Bob without her name
  EXPECT_EQ(nameless, 1);  // his receipt, to the key that she gave him
  alice.send(kBob, "two");
  world.settle();
  EXPECT_EQ(named, 2);  // a receipt gives no key away
  bob.send(kAlice, "hello");
  world.settle();
  const int before = named;
  alice.send(kBob, "three");
  bob.send(kAlice, "four");
  world.settle();
  EXPECT_EQ(named, before);
  EXPECT_EQ(alice.history(kBob),
            (Texts{"one (delivered)", "two (delivered)", "hello", "three (delivered)", "four"}));
  EXPECT_GT(world.nameless(), 4u);
}

TEST_F(Sealed, ReceiptsOfReadingHintsAndRepetitionsHaveNoName) {
  talk();
  alice.send(kBob, "one");
  world.settle();
  bob.read(kAlice);
  alice.run([](Engine& e, Env& at, Effects& out) {
    e.set_typing(e.chat(kBob), true, at, out);
    return true;
  });
  world.settle();
  EXPECT_EQ(alice.history(kBob).back(), "one (read)");
  ASSERT_EQ(bob.events<TypingChanged>().size(), 1u);
  EXPECT_EQ(bob.events<TypingChanged>()[0].phone, kAlice);
  EXPECT_EQ(named, 0);
  EXPECT_GE(nameless, 3);
}

TEST_F(Sealed, WhoBeginsToWriteAfterAPauseIsNoticedAtOnce) {
  talk();
  world.pass(limits::kNamelessIdle + seconds(1));
  ASSERT_FALSE(alice.nameless);
  alice.run([](Engine& e, Env& at, Effects& out) {
    e.set_typing(e.chat(kBob), true, at, out);
    return true;
  });
  world.settle();
  EXPECT_EQ(bob.events<TypingChanged>().size(), 1u);
  EXPECT_EQ(named, 0);
}

TEST_F(Sealed, ItsOwnConnectionIsLostAndNothingElse) {
  talk();
  world.swallow = [](const Frame& frame) { return frame.kind == Kind::kSubmit; };
  for (const char* text : {"one", "two", "three"}) alice.send(kBob, text);
  world.settle();
  world.swallow = nullptr;
  ASSERT_TRUE(alice.nameless);
  alice.lose_nameless();
  alice.send(kBob, "four");
  world.pass(seconds(20));
  EXPECT_EQ(bob.history(kAlice),
            (Texts{"hello", "hello too (delivered)", "one", "two", "three", "four"}));
  EXPECT_EQ(named, 0);
  EXPECT_TRUE(alice.connected);
  EXPECT_EQ(alice.events<ConnectionChanged>().size(), 1u);  // nobody was told
}

TEST_F(Sealed, AnAnswerThatWasLostIsAskedForOnANewConnection) {
  talk();
  bool lost = false;
  world.lose_answer = [&](const Frame& frame) {
    return frame.kind == Kind::kSubmit && !std::exchange(lost, true);
  };
  alice.send(kBob, "one");
  world.pass(minutes(1));
  EXPECT_TRUE(lost);
  EXPECT_EQ(bob.history(kAlice).back(), "one");
  EXPECT_EQ(alice.history(kBob).back(), "one (delivered)");
  EXPECT_EQ(bob.events<MessageReceived>().size(), 2u);
}

TEST_F(Sealed, WithoutThatConnectionNothingIsSentRatherThanWithAName) {
  talk();
  alice.lose_nameless();
  alice.hides = false;
  alice.send(kBob, "one");
  world.pass(minutes(5));
  EXPECT_EQ(alice.history(kBob).back(), "one (queued)");
  alice.hides = true;
  world.pass(minutes(2));
  EXPECT_EQ(alice.history(kBob).back(), "one (delivered)");
  EXPECT_EQ(named, 0);
}

TEST_F(Sealed, AnIdleConnectionWithoutANameIsClosed) {
  talk();
  EXPECT_TRUE(alice.nameless);
  world.pass(limits::kNamelessIdle + seconds(1));
  EXPECT_FALSE(alice.nameless);
  EXPECT_TRUE(alice.connected);
  alice.send(kBob, "one");
  world.settle();
  EXPECT_EQ(alice.history(kBob).back(), "one (delivered)");
  EXPECT_EQ(named, 0);
}

TEST_F(Sealed, WhoRegistersAnewIsWrittenToWithANameUntilTheyAnswer) {
  talk();
  Device& phone = world.add(kBob);
  bob.reachable = false;
  bob.disconnect();
  phone.enroll();
  alice.send(kBob, "to the new phone");
  world.settle();
  EXPECT_EQ(phone.history(kAlice), Texts{"to the new phone"});
  EXPECT_EQ(named, 1);
  phone.send(kAlice, "here I am");
  world.settle();
  named = 0;
  alice.send(kBob, "good");
  world.settle();
  EXPECT_EQ(phone.history(kAlice).back(), "good");
  EXPECT_EQ(named, 0);
}

TEST_F(Sealed, ACertificateIsRenewedInTimeAndKept) {
  talk();
  const auto asked = world.asked(Kind::kCertify);
  alice.crash();
  world.pass(hours(1));
  EXPECT_EQ(world.asked(Kind::kCertify), asked);  // it was stored
  for (int day = 0; day < 3; ++day) {
    world.pass(hours(24));
    alice.send(kBob, "still here");
    world.pass(seconds(1));
    EXPECT_EQ(alice.history(kBob).back(), "still here (delivered)");
  }
  EXPECT_EQ(named, 0);
  EXPECT_EQ(refusals(), 0u);
  EXPECT_LE(world.asked(Kind::kCertify), asked + 14);  // two people, six half days, and one more
}

TEST_F(Sealed, WithoutACertificateItGoesOnWithNames) {
  world.certifies = false;
  talk();
  world.pass(hours(30));
  alice.disconnect();
  bob.disconnect();
  world.pass(minutes(1));
  alice.send(kBob, "one");
  world.settle();
  EXPECT_EQ(alice.history(kBob).back(), "one (delivered)");
  EXPECT_EQ(nameless, 0);
}

TEST_F(Sealed, ForgedAndExpiredCertificatesAreRefusedAndSaid) {
  talk();
  inject_sealed(world.now + hours(1), true);
  ASSERT_EQ(refusals(), 1u);
  EXPECT_EQ(bob.events<SenderRefused>()[0].text, "the sender's certificate is not the service's");
  inject_sealed(Instant{world.now.ms - 1}, false);
  ASSERT_EQ(refusals(), 2u);
  EXPECT_EQ(bob.events<SenderRefused>()[1].text, "the sender's certificate has expired");
  EXPECT_EQ(bob.engine().counters().undecryptable, 2u);
  EXPECT_EQ(bob.engine().counters().requested, 0u);
  // One of another identity key under Alice's name opens, and is read like any other message.
  inject_sealed(world.now + hours(1), false);
  EXPECT_EQ(refusals(), 2u);
  EXPECT_EQ(bob.engine().counters().requested, 1u);
  alice.send(kBob, "me");
  world.pass(minutes(1));
  EXPECT_EQ(bob.history(kAlice).back(), "me");
}

TEST_F(Sealed, AnExpiredCertificateIsNotBelievedBecauseItOnceWas) {
  talk();
  const Instant expires = world.now + hours(1);
  inject_sealed(expires, false);
  EXPECT_EQ(refusals(), 0u);
  world.pass(hours(2));
  inject_sealed(expires, false);
  EXPECT_EQ(refusals(), 1u);
}

TEST_F(Sealed, ADamagedSealIsDeliveredAgainThenPassedOverAndItsMessageArrives) {
  talk();
  world.tamper = [](UserId, proto::Envelope& envelope) { envelope.ciphertext.back() ^= 1; };
  alice.send(kBob, "one");
  world.pass(minutes(2));
  world.tamper = nullptr;
  EXPECT_EQ(refusals(), 1u);
  EXPECT_EQ(bob.events<ConnectionChanged>().size(), 1 + 2 * (limits::kUnsealTries - 1u));
  EXPECT_TRUE(world.account(kBob).mailbox.empty());
  bob.send(kAlice, "are you there?");
  world.pass(minutes(10));
  EXPECT_EQ(bob.history(kAlice).back(), "one");
  EXPECT_EQ(alice.events<StatusChanged>().back().status, Status::kDelivered);
}

}  // namespace
}  // namespace godwit::client
