#include "client/courier.h"

#include <gtest/gtest.h>

#include "client/test_world.h"

namespace godwit::client {
namespace {

using proto::Frame;
using proto::Kind;

using Sending = Conversation;

TEST_F(Sending, RefusesWhatCannotBeSent) {
  Env env = alice.env();
  Effects out;
  auto code = [&](std::string_view to, std::string_view text) {
    return alice.engine().send_text(to, text, {}, env, out).error().code;
  };
  EXPECT_EQ(code("12345", "x"), Code::kInvalid);
  EXPECT_EQ(code(kBob, ""), Code::kInvalid);
  EXPECT_EQ(code(kBob, "\xc3"), Code::kInvalid);
  EXPECT_EQ(code(kBob, std::string(limits::kMaxText + 1, 'x')), Code::kTooLarge);
  EXPECT_TRUE(out.empty());
}

TEST_F(Sending, TheLongestTextArrives) {
  const std::string text(limits::kMaxText, 'x');
  alice.send(kBob, text);
  alice.run([&](Engine& e, Env& at, Effects& out) {
    return e.send_text(kBob, "", {.allow_empty = true}, at, out);
  });
  world.settle();
  EXPECT_EQ(bob.history(kAlice), (Texts{text, ""}));
}

TEST_F(Sending, ANumberWithoutAccountFails) {
  alice.send("+33699999999", "anybody?");
  world.settle();
  ASSERT_EQ(alice.events<StatusChanged>().size(), 1u);
  EXPECT_EQ(alice.events<StatusChanged>()[0].status, Status::kFailed);
  EXPECT_EQ(alice.events<StatusChanged>()[0].failure, "+33699999999 has no account on this server");
  EXPECT_FALSE(alice.engine().busy());
}

TEST_F(Sending, OfflineMessagesLeaveAtTheNextConnectionInOrder) {
  alice.reachable = false;
  alice.disconnect();
  world.settle();
  Texts want;
  for (int i = 0; i < 300; ++i) {
    want.push_back(std::to_string(i));
    alice.send(kBob, want.back());
  }
  world.settle();
  EXPECT_EQ(alice.engine().outbox_size(), 300u);
  alice.crash();
  EXPECT_EQ(alice.engine().outbox_size(), 300u);
  alice.reachable = true;
  world.pass(minutes(2));
  EXPECT_EQ(bob.history(kAlice), want);
  EXPECT_LE(world.asked(Kind::kSubmit), 10u);  // batches, and Bob's receipts
}

TEST_F(Sending, ALostAnswerRepeatsNothing) {
  int lost = 0;
  world.lose_answer = [&](const Frame& frame) {
    return frame.kind == Kind::kSubmit && ++lost == 1;
  };
  alice.send(kBob, "once");
  world.settle();
  EXPECT_EQ(bob.history(kAlice), Texts{"once"});
  alice.send(kBob, "twice");
  world.pass(minutes(1));
  EXPECT_EQ(bob.history(kAlice), (Texts{"once", "twice"}));
  EXPECT_EQ(bob.engine().counters().duplicates, 1u);
  EXPECT_EQ(alice.history(kBob), (Texts{"once (delivered)", "twice (delivered)"}));
}

TEST_F(Sending, RetriesWhatIsRefusedForNow) {
  for (const Code code : {Code::kFull, Code::kRateLimited, Code::kUnavailable}) {
    refuse(Kind::kSubmit, {code, "later", seconds(30)}, 1);
    const auto before = world.asked(Kind::kSubmit);
    const auto name = std::string(code_name(code));
    alice.send(kBob, name);
    world.pass(seconds(29));
    EXPECT_EQ(world.asked(Kind::kSubmit), before + 1) << name;
    world.pass(seconds(40));
    EXPECT_EQ(bob.history(kAlice).back(), name);
  }
}

TEST_F(Sending, OneRefusedMessageDoesNotHoldUpTheOthers) {
  alice.send(kBob, "first");
  world.settle();
  alice.disconnect();
  for (int i = 0; i < 6; ++i) alice.send(kBob, std::string(i == 3 ? 3000 : 1, 'x'));
  world.refuse = [](const Frame& frame) -> std::optional<proto::ErrorBody> {
    if (frame.kind != Kind::kSubmit) return std::nullopt;
    const auto submit = decode<proto::Submit>(frame.body);
    for (const auto& message : submit->messages) {
      if (message.parcels[0].ciphertext.size() > 3000) {
        return proto::ErrorBody{Code::kTooLarge, "too large"};
      }
    }
    return std::nullopt;
  };
  world.pass(minutes(1));
  EXPECT_EQ(bob.history(kAlice).size(), 6u);
  EXPECT_EQ(alice.history(kBob)[4], std::string(3000, 'x') + " (failed)");
  EXPECT_FALSE(alice.engine().busy());
}

TEST_F(Sending, ANewPhoneIsToldAndServed) {
  alice.send(kBob, "to the old phone");
  world.settle();
  Device& phone = world.add(kBob);
  bob.reachable = false;
  bob.disconnect();
  phone.enroll();
  alice.send(kBob, "to the new phone");
  world.settle();
  EXPECT_EQ(phone.history(kAlice), Texts{"to the new phone"});
  EXPECT_EQ(alice.events<IdentityChanged>().size(), 1u);
  EXPECT_EQ(alice.history(kBob).back(), "to the new phone (delivered)");
  phone.send(kAlice, "hi");
  world.settle();
  EXPECT_EQ(alice.history(kBob).back(), "hi");
}

TEST_F(Sending, AVerifiedPersonsNewKeyWaitsForConsent) {
  alice.send(kBob, "one");
  world.settle();
  const auto before = alice.engine().safety_number(kBob);
  ASSERT_TRUE(before && verify(alice, kBob, true));
  EXPECT_EQ(before->digits, bob.engine().safety_number(kAlice)->digits);
  EXPECT_EQ(before->digits.size(), 71u);
  EXPECT_TRUE(alice.engine().safety_number(kBob)->verified);

  Device& phone = world.add(kBob);
  bob.reachable = false;
  bob.disconnect();
  phone.enroll();
  alice.send(kBob, "two");
  world.pass(hours(1));
  EXPECT_TRUE(phone.history(kAlice).empty());
  EXPECT_EQ(alice.history(kBob).back(), "two (queued)");
  EXPECT_EQ(alice.events<IdentityChanged>().size(), 1u);
  EXPECT_FALSE(alice.engine().safety_number(kBob)->verified);
  EXPECT_NE(alice.engine().safety_number(kBob)->digits, before->digits);

  alice.crash();  // the hold is stored
  phone.send(kAlice, "it is me");
  world.pass(hours(1));
  EXPECT_EQ(alice.history(kBob).back(), "it is me");
  EXPECT_TRUE(phone.events<MessageReceived>().empty());

  // What was compared before the key changed accepts nothing.
  const auto stale = alice.run([&](Engine& e, Env& at, Effects& out) {
    return e.set_verified(kBob, before->digits, at, out);
  });
  ASSERT_FALSE(stale);
  EXPECT_EQ(stale.error().code, Code::kConflict);
  EXPECT_FALSE(alice.engine().contact(kBob)->new_identity_key.empty());

  ASSERT_TRUE(verify(alice, kBob, false));
  world.pass(minutes(1));
  EXPECT_EQ(phone.events<MessageReceived>().size(), 1u);
  EXPECT_EQ(alice.events<IdentityChanged>().size(), 1u);
}

TEST_F(Sending, AReceiptThatOvertakesTheAnswerIsNotLost) {
  int lost = 0;
  world.lose_answer = [&](const Frame& frame) {
    return frame.kind == Kind::kSubmit && ++lost == 1;
  };
  alice.send(kBob, "fast");
  world.settle();  // Bob's receipt is here, the server's answer is not
  EXPECT_EQ(alice.history(kBob), Texts{"fast (queued)"});
  alice.crash();
  world.pass(minutes(1));
  EXPECT_EQ(alice.history(kBob), Texts{"fast (delivered)"});
}

// Bob links a second device: the next message goes to both, in ascending order.
TEST_F(Sending, AnotherDeviceOfTheRecipientIsServedToo) {
  alice.send(kBob, "one");
  world.settle();
  const auto stored = bob.store.get(Engine::partition(), ports::Space::kProfile, row_key('I'));
  const auto identity = e2e::LocalIdentity::parse(stored->value);
  SeededEntropy entropy(3);
  const auto prekey = e2e::SignedPrekey::make({1}, *identity, entropy);
  const auto kyber = e2e::KyberPrekey::make({2}, *identity, entropy);
  const proto::Bundle laptop{DeviceId{2},
                             77,
                             to_bytes(identity->public_key().wire()),
                             {1, to_bytes(prekey.public_key().wire()), to_bytes(prekey.signature)},
                             {},
                             {2, to_bytes(kyber.public_key().wire()), to_bytes(kyber.signature)}};
  std::vector<proto::Submit> submitted;
  world.reply = [&](const Frame& frame) -> std::optional<Frame> {
    if (frame.kind == Kind::kFetchBundles) {
      EXPECT_EQ(decode<proto::FetchBundles>(frame.body)->devices, std::vector{DeviceId{2}});
      return proto::make_frame(Kind::kOk, frame.id, proto::Bundles{{laptop}});
    }
    if (frame.kind != Kind::kSubmit) return std::nullopt;
    submitted.push_back(*decode<proto::Submit>(frame.body));
    if (submitted.back().messages[0].parcels.size() == 2) return proto::ok_frame(frame.id);
    proto::ErrorBody conflict{Code::kConflict, "devices changed"};
    conflict.devices = {{{1}, world.account(kBob).registration_id}, {{2}, 77}};
    return proto::make_frame(Kind::kError, frame.id, conflict);
  };
  alice.send(kBob, "two");
  world.settle();
  ASSERT_EQ(submitted.size(), 2u);
  const auto& first = submitted[0].messages[0].parcels;
  const auto& parcels = submitted[1].messages[0].parcels;
  EXPECT_EQ(parcels[0].device, DeviceId{1});
  EXPECT_EQ(parcels[1].device, DeviceId{2});
  EXPECT_EQ(parcels[1].registration_id, 77u);
  EXPECT_EQ(parcels[0].id, first[0].id);  // a retry keeps its EnvelopeId ...
  EXPECT_NE(parcels[0].ciphertext, first[0].ciphertext);  // ... and encrypts anew
  EXPECT_NE(parcels[1].id, first[0].id);
  EXPECT_EQ(alice.history(kBob).back(), "two (sent)");
}

TEST_F(Sending, AServerThatNeverAgreesDoesNotMakeUsSpin) {
  alice.send(kBob, "one");
  world.settle();
  const auto before = world.asked(Kind::kSubmit);
  proto::ErrorBody conflict{Code::kConflict, "devices changed"};
  conflict.devices = {{{1}, 5}};
  refuse(Kind::kSubmit, conflict, 1'000'000);
  alice.send(kBob, "two");
  world.pass(minutes(10));
  EXPECT_LT(world.asked(Kind::kSubmit), before + 40);
  world.refuse = nullptr;
  world.pass(minutes(2));
  EXPECT_EQ(bob.history(kAlice), (Texts{"one", "two"}));
}

TEST_F(Sending, ABundleThatDoesNotVerifyIsNotUsed) {
  auto& signature = world.account(kBob).signed_prekey.signature;
  signature[10] ^= 1;
  alice.send(kBob, "one");
  world.pass(minutes(5));
  EXPECT_EQ(world.asked(Kind::kSubmit), 0u);
  signature[10] ^= 1;
  world.pass(minutes(2));
  EXPECT_EQ(bob.history(kAlice), Texts{"one"});
}

TEST_F(Sending, AClockSetBackDelaysNothing) {
  refuse(Kind::kSubmit, {Code::kUnavailable, "later", seconds(30)}, 1);
  alice.send(kBob, "one");
  world.settle();
  world.now.ms -= days(2).ms;
  for (int i = 0; i < 4; ++i) {
    world.now = world.now + seconds(30);
    alice.run([&](Engine& e, Env& at, Effects& out) {
      e.on_tick(at, out);
      return 0;
    });
    world.settle();
  }
  EXPECT_EQ(bob.history(kAlice), Texts{"one"});
}

// A number that resolves while receipts for its owner are under way: what is under way keeps its
// numbers, through a crash too.
TEST(SendingAlone, AResolvedNumberQueuesBehindWhatIsUnderWay) {
  World world;
  Device& alice = world.add(kAlice);
  Device& bob = world.add(kBob);
  alice.enroll();
  bob.enroll();
  bob.reachable = false;
  bob.disconnect();
  for (int i = 0; i < 3; ++i) bob.send(kAlice, "b" + std::to_string(i));
  alice.send(kBob, "a");
  world.settle();
  bool hold = true;  // Bob's look-ups fail; his receipt reaches the server, its answer is lost
  world.refuse = [&](const Frame& frame) -> std::optional<proto::ErrorBody> {
    if (frame.kind != Kind::kLookup || !hold) return std::nullopt;
    return proto::ErrorBody{Code::kRateLimited, "later", seconds(20)};
  };
  world.lose_answer = [&](const Frame& frame) { return hold && frame.kind == Kind::kSubmit; };
  bob.reachable = true;
  world.pass(seconds(5));
  EXPECT_EQ(alice.history(kBob), Texts{"a (delivered)"});
  EXPECT_EQ(bob.engine().outbox_size(), 3u);
  hold = false;
  bob.crash();
  int lost = 0;
  world.lose_answer = [&](const Frame& frame) {
    return frame.kind == Kind::kSubmit && ++lost == 1;
  };
  world.pass(seconds(5));  // the receipt is under way again, and the number is known
  bob.crash();
  world.pass(minutes(2));
  EXPECT_EQ(alice.history(kBob), (Texts{"a (delivered)", "b0", "b1", "b2"}));
  EXPECT_EQ(bob.history(kAlice),
            (Texts{"a", "b0 (delivered)", "b1 (delivered)", "b2 (delivered)"}));
}

}  // namespace
}  // namespace godwit::client
