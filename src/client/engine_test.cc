#include "client/engine.h"

#include <gtest/gtest.h>

#include <chrono>

#include "client/test_world.h"

namespace godwit::client {
namespace {

using proto::Frame;
using proto::Kind;
using Texts = std::vector<std::string>;

constexpr const char* kAlice = "+33611111111";
constexpr const char* kBob = "+33622222222";

// Alice and Bob, registered and connected.
class Conversation : public testing::Test {
 protected:
  void SetUp() override {
    alice.enroll();
    bob.enroll();
  }
  // Answers the next `times` requests of a kind with an error.
  void refuse(Kind kind, proto::ErrorBody error, int times) {
    world.refuse = [=](const Frame& frame) mutable -> std::optional<proto::ErrorBody> {
      if (frame.kind != kind || times == 0) return std::nullopt;
      --times;
      return error;
    };
  }
  // Puts a ciphertext of the attacker's choice into Bob's mailbox, as if from Alice.
  void inject(Bytes ciphertext, proto::CiphertextType type, DeviceId device = {1}) {
    auto& account = world.account(kBob);
    SeededEntropy entropy(++account.last_sequence);
    account.mailbox.push_back({Sequence{account.last_sequence},
                               {EnvelopeId::random(entropy), world.account(kAlice).user, device,
                                type, std::move(ciphertext), world.now}});
    world.push(account, account.last_sequence - 1);
    world.settle();
  }
  Result<void> verify(Device& device, std::string_view phone, bool verified) {
    return device.run(
        [&](Engine& e, Env& at, Effects& out) { return e.set_verified(phone, verified, at, out); });
  }

  World world;
  Device& alice = world.add(kAlice);
  Device& bob = world.add(kBob);
};

TEST(Engine, RefusesBeforeRegistration) {
  World world;
  Device& alice = world.add(kAlice);
  EXPECT_FALSE(alice.engine().registered());
  EXPECT_EQ(alice.engine().deadline(), kNever);
  Env env = alice.env();
  Effects out;
  EXPECT_EQ(alice.engine().send_text(kBob, "hi", {}, env, out).error().code,
            Code::kUnauthenticated);
  EXPECT_EQ(alice.engine().request_code("0611111111", env, out).error().code, Code::kInvalid);
  EXPECT_EQ(alice.engine().register_account(kAlice, "12345", env, out).error().code,
            Code::kInvalid);
  EXPECT_TRUE(out.empty());
}

TEST(Engine, ACommandWithoutServerFailsWithAnEvent) {
  World world;
  Device& alice = world.add(kAlice);
  alice.reachable = false;
  const auto id =
      alice.run([&](Engine& e, Env& at, Effects& out) { return e.request_code(kAlice, at, out); });
  ASSERT_TRUE(id);
  world.settle();
  ASSERT_EQ(alice.events<Failed>().size(), 1u);
  EXPECT_EQ(alice.events<Failed>()[0].request, *id);
  EXPECT_EQ(alice.events<Failed>()[0].code, Code::kUnavailable);
  EXPECT_FALSE(alice.engine().busy());
  EXPECT_EQ(alice.engine().deadline(), kNever);
}

TEST(Engine, AsksForACodeAndRegisters) {
  World world;
  Device& alice = world.add(kAlice);
  alice.run([&](Engine& e, Env& at, Effects& out) { return e.request_code(kAlice, at, out); });
  world.settle();
  EXPECT_EQ(alice.events<CodeRequested>().size(), 1u);
  alice.enroll();
  EXPECT_EQ(alice.events<Registered>().size(), 1u);
  EXPECT_EQ(alice.engine().profile().phone, kAlice);
  EXPECT_EQ(world.account(kAlice).one_time_prekeys.size(), limits::kPrekeyBatch);
  EXPECT_TRUE(world.account(kAlice).attached);
}

TEST(Engine, ARepeatedRegistrationOffersTheSameKeys) {
  World world;
  Device& alice = world.add(kAlice);
  Bytes offered;
  world.lose_answer = [](const Frame& frame) { return frame.kind == Kind::kRegister; };
  alice.run([&](Engine& e, Env& at, Effects& out) {
    return e.register_account(kAlice, "123456", at, out);
  });
  world.settle();
  const Bytes key = world.account(kAlice).identity_key;
  alice.crash();
  world.lose_answer = nullptr;
  alice.enroll();
  EXPECT_EQ(world.account(kAlice).identity_key, key);
}

TEST_F(Conversation, AMessageArrivesAndIsAcknowledged) {
  const MessageId id = alice.send(kBob, "salut");
  EXPECT_TRUE(alice.engine().busy());
  world.settle();
  EXPECT_EQ(bob.history(kAlice), Texts{"salut"});
  EXPECT_EQ(alice.history(kBob), Texts{"salut (delivered)"});
  ASSERT_EQ(bob.events<MessageReceived>().size(), 1u);
  EXPECT_EQ(bob.events<MessageReceived>()[0].message.id, id);
  EXPECT_EQ(bob.events<MessageReceived>()[0].message.phone, kAlice);
  EXPECT_TRUE(world.account(kBob).mailbox.empty());
  EXPECT_TRUE(world.account(kAlice).mailbox.empty());
  EXPECT_FALSE(alice.engine().busy());
  EXPECT_EQ(alice.engine().outbox_size(), 0u);

  bob.read(kAlice);
  world.settle();
  EXPECT_EQ(alice.history(kBob), Texts{"salut (read)"});
  std::vector<Status> statuses;
  for (const auto& change : alice.events<StatusChanged>()) statuses.push_back(change.status);
  EXPECT_EQ(statuses, (std::vector{Status::kSent, Status::kDelivered, Status::kRead}));
}

TEST_F(Conversation, BothSidesTalkAtOnce) {
  for (int i = 0; i < 5; ++i) {
    alice.send(kBob, "a" + std::to_string(i));
    bob.send(kAlice, "b" + std::to_string(i));
  }
  world.settle();
  Texts from_alice, from_bob;
  for (const auto& e : bob.events<MessageReceived>()) from_alice.push_back(e.message.text);
  for (const auto& e : alice.events<MessageReceived>()) from_bob.push_back(e.message.text);
  EXPECT_EQ(from_alice, (Texts{"a0", "a1", "a2", "a3", "a4"}));
  EXPECT_EQ(from_bob, (Texts{"b0", "b1", "b2", "b3", "b4"}));
  EXPECT_EQ(alice.engine().counters().undecryptable, 0u);
  EXPECT_EQ(bob.engine().counters().undecryptable, 0u);
}

TEST_F(Conversation, RefusesWhatCannotBeSent) {
  Env env = alice.env();
  Effects out;
  auto code = [&](std::string_view to, std::string_view text) {
    return alice.engine().send_text(to, text, {}, env, out).error().code;
  };
  EXPECT_EQ(code("12345", "x"), Code::kInvalid);
  EXPECT_EQ(code(kAlice, "x"), Code::kInvalid);
  EXPECT_EQ(code(kBob, ""), Code::kInvalid);
  EXPECT_EQ(code(kBob, "\xc3"), Code::kInvalid);
  EXPECT_EQ(code(kBob, std::string(limits::kMaxText + 1, 'x')), Code::kTooLarge);
  EXPECT_TRUE(out.empty());
}

TEST_F(Conversation, TheLongestTextArrives) {
  const std::string text(limits::kMaxText, 'x');
  alice.send(kBob, text);
  alice.run([&](Engine& e, Env& at, Effects& out) {
    return e.send_text(kBob, "", {.allow_empty = true}, at, out);
  });
  world.settle();
  EXPECT_EQ(bob.history(kAlice), (Texts{text, ""}));
}

TEST_F(Conversation, ANumberWithoutAccountFails) {
  alice.send("+33699999999", "anybody?");
  world.settle();
  ASSERT_EQ(alice.events<StatusChanged>().size(), 1u);
  EXPECT_EQ(alice.events<StatusChanged>()[0].status, Status::kFailed);
  EXPECT_EQ(alice.events<StatusChanged>()[0].failure, "+33699999999 has no account on this server");
  EXPECT_FALSE(alice.engine().busy());
}

TEST_F(Conversation, OfflineMessagesLeaveAtTheNextConnectionInOrder) {
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

TEST_F(Conversation, ALostAnswerRepeatsNothing) {
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

TEST(Engine, CrashesBetweenAnyTwoEffectsLoseAndRepeatNothing) {
  for (const bool sender : {true, false}) {
    for (std::uint64_t at = 1;; ++at) {
      World fresh;
      Device& a = fresh.add(kAlice);
      Device& b = fresh.add(kBob);
      a.enroll();
      b.enroll();
      Device& victim = sender ? a : b;
      const std::uint64_t before = victim.performed;
      victim.crash_after = before + at;
      Texts want;
      // What was committed before the crash is not lost; what was not was never confirmed.
      for (int i = 0; i < 4; ++i) {
        a.send(kBob, std::to_string(i));
        if (i % 2 == 1) fresh.settle();
      }
      b.send(kAlice, "back");
      fresh.pass(minutes(3));
      a.send(kBob, "end");
      fresh.pass(minutes(3));
      const Texts got = b.history(kAlice);
      Texts received;
      for (const auto& text : got) {
        if (!text.contains('(')) received.push_back(text);
      }
      Texts sent;
      for (const auto& text : a.history(kBob)) {
        if (!text.contains('(')) continue;
        EXPECT_TRUE(text.ends_with("(delivered)")) << text << " crash at " << at;
        sent.push_back(text.substr(0, text.find(' ')));
      }
      EXPECT_EQ(received, sent) << (sender ? "sender" : "receiver") << " crash at " << at;
      EXPECT_EQ(sent.back(), "end");
      EXPECT_TRUE(sender || received.size() == 5u) << "crash at " << at;
      EXPECT_EQ(a.engine().counters().undecryptable + b.engine().counters().undecryptable, 0u);
      EXPECT_FALSE(a.engine().busy() || b.engine().busy());
      if (HasFailure() || victim.performed < victim.crash_after) break;
    }
  }
}

TEST_F(Conversation, RetriesWhatIsRefusedForNow) {
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

TEST_F(Conversation, OneRefusedMessageDoesNotHoldUpTheOthers) {
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

TEST_F(Conversation, ADeadConnectionIsNoticed) {
  world.swallow = [](const Frame& frame) { return frame.kind == Kind::kSubmit; };
  alice.send(kBob, "hello?");
  world.pass(limits::kRequestTimeout);
  world.swallow = nullptr;
  world.pass(minutes(1));
  EXPECT_EQ(bob.history(kAlice), Texts{"hello?"});
  const auto changes = alice.events<ConnectionChanged>();
  ASSERT_EQ(changes.size(), 3u);
  EXPECT_EQ(changes[1].reason, "the server did not answer in time");
}

TEST_F(Conversation, ANewPhoneIsToldAndServed) {
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

TEST_F(Conversation, AVerifiedPersonsNewKeyWaitsForConsent) {
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

  ASSERT_TRUE(verify(alice, kBob, false));
  world.pass(minutes(1));
  EXPECT_EQ(phone.events<MessageReceived>().size(), 1u);
  EXPECT_EQ(alice.events<IdentityChanged>().size(), 1u);
}

TEST_F(Conversation, PoisonNeverWedgesTheQueue) {
  alice.send(kBob, "before");
  world.settle();
  inject({}, proto::CiphertextType::kWhisper);
  inject(Bytes(500, 0x34), proto::CiphertextType::kPrekey);
  inject(Bytes(500, 0x34), proto::CiphertextType::kWhisper);
  inject(Bytes(10, 1), proto::CiphertextType::kPlain);
  inject(Bytes(10, 1), static_cast<proto::CiphertextType>(200));
  inject(Bytes(10, 1), proto::CiphertextType::kWhisper, DeviceId{0});
  inject(Bytes(10, 1), proto::CiphertextType::kWhisper, DeviceId{200});
  EXPECT_EQ(bob.engine().counters().undecryptable, 7u);
  EXPECT_TRUE(world.account(kBob).mailbox.empty());
  alice.send(kBob, "after");
  world.settle();
  EXPECT_EQ(bob.history(kAlice), (Texts{"before", "after"}));
}

TEST_F(Conversation, NoFrameOfTheServerBreaksTheEngine) {
  alice.send(kBob, "x");
  world.settle();
  SeededEntropy noise(5);
  for (int i = 0; i < 1000; ++i) {
    Bytes body(noise.below(40));
    noise.fill(body);
    Frame frame{static_cast<Kind>(noise.below(70)), noise.below(30), std::move(body)};
    if (i % 3 == 0) frame.kind = i % 2 == 0 ? Kind::kOk : Kind::kError;
    if (!alice.connected) world.pass(minutes(2));
    alice.receive(std::move(frame));
    world.settle();
  }
  world.pass(minutes(2));
  alice.send(kBob, "still here");
  world.pass(minutes(2));
  EXPECT_EQ(bob.history(kAlice).back(), "still here");
}

TEST(Engine, AStrangersNumberIsConfirmedFirst) {
  World fresh;
  Device& a = fresh.add(kAlice);
  Device& b = fresh.add(kBob);
  a.enroll();
  b.enroll();
  int lookups = 0;
  fresh.refuse = [&](const Frame& frame) -> std::optional<proto::ErrorBody> {
    if (frame.kind != Kind::kLookup || ++lookups != 2) return std::nullopt;
    return proto::ErrorBody{Code::kUnavailable, "later", seconds(5)};
  };
  a.send(kBob, "one");
  a.send(kBob, "two");
  fresh.settle();
  EXPECT_TRUE(b.events<MessageReceived>().empty());
  EXPECT_TRUE(b.engine().busy());
  fresh.pass(seconds(10));
  EXPECT_EQ(b.history(kAlice), (Texts{"one", "two"}));
  EXPECT_EQ(lookups, 3);
}

TEST(Engine, AStrangerIsShownWithoutNumberWhenTheDirectoryWillNotSay) {
  World fresh;
  Device& a = fresh.add(kAlice);
  Device& b = fresh.add(kBob);
  a.enroll();
  b.enroll();
  int lookups = 0;
  fresh.refuse = [&](const Frame& frame) -> std::optional<proto::ErrorBody> {
    if (frame.kind != Kind::kLookup || ++lookups != 2) return std::nullopt;
    return proto::ErrorBody{Code::kRateLimited, "tomorrow", hours(24)};
  };
  a.send(kBob, "one");
  fresh.settle();
  ASSERT_EQ(b.events<MessageReceived>().size(), 1u);
  EXPECT_EQ(b.events<MessageReceived>()[0].message.phone, "");
  EXPECT_EQ(b.engine().contact(kAlice), nullptr);
  a.send(kBob, "two");
  fresh.settle();
  EXPECT_EQ(b.history(kAlice), (Texts{"one", "two"}));  // asked again, and told
}

TEST(Engine, AClaimedNumberThatIsAnotherPersonsIsNotBelieved) {
  World fresh;
  Device& mallory = fresh.add(kAlice);
  Device& b = fresh.add(kBob);
  mallory.enroll();
  b.enroll();
  SeededEntropy entropy(9);
  mallory.send(kBob, "I am Alice");
  int steps = 0;
  while (fresh.asked(Kind::kSubmit) == 0 && ++steps < 1000) mallory.step();
  // The directory: the number is somebody else's by now.
  const UserId sender = mallory.engine().profile().user;
  fresh.account(kAlice).user = UserId::random(entropy);
  fresh.settle();
  ASSERT_EQ(b.events<MessageReceived>().size(), 1u);
  EXPECT_EQ(b.events<MessageReceived>()[0].message.phone, "");
  EXPECT_EQ(b.events<MessageReceived>()[0].message.chat, sender);
}

TEST_F(Conversation, PrekeysAreToppedUpAndTheSignedOneRotated) {
  auto& account = world.account(kBob);
  account.one_time_prekeys.resize(5);
  const std::uint32_t last = account.one_time_prekeys.back().id;
  const std::uint32_t old_signed = account.signed_prekey.id;
  bob.receive(proto::make_frame(Kind::kPrekeysLow, 0, proto::PrekeysLow{5}));
  world.settle();
  ASSERT_EQ(account.one_time_prekeys.size(), 5 + limits::kPrekeyBatch);
  EXPECT_GT(account.one_time_prekeys[5].id, last);
  world.now = world.now + days(8);
  world.pass(minutes(1));
  EXPECT_GT(account.signed_prekey.id, old_signed);
  alice.send(kBob, "fresh");
  world.settle();
  EXPECT_EQ(bob.history(kAlice), Texts{"fresh"});
}

TEST_F(Conversation, ARegistrationElsewhereStopsThisDevice) {
  Device& phone = world.add(kBob);
  phone.enroll();
  bob.disconnect();
  world.pass(minutes(5));
  const auto changes = bob.events<ConnectionChanged>();
  ASSERT_FALSE(changes.empty());
  EXPECT_FALSE(changes.back().online);
  EXPECT_TRUE(changes.back().reason.contains("another device")) << changes.back().reason;
  EXPECT_EQ(bob.engine().deadline(), kNever);
}

TEST_F(Conversation, ClosingIsObeyed) {
  bob.receive(proto::make_frame(Kind::kClosing, 0,
                                proto::Closing{Code::kUnavailable, "restarting", minutes(3)}));
  world.settle();
  EXPECT_FALSE(bob.connected);
  EXPECT_EQ(bob.events<ConnectionChanged>().back().reason, "restarting");
  world.pass(minutes(2));
  EXPECT_FALSE(bob.connected);
  world.pass(minutes(3));
  EXPECT_TRUE(bob.connected);
}

TEST_F(Conversation, AReceiptThatOvertakesTheAnswerIsNotLost) {
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

TEST_F(Conversation, HistoryIsReadInPages) {
  for (int i = 0; i < 25; ++i) alice.send(kBob, std::to_string(i));
  world.settle();
  const UserId chat = alice.engine().contact(kBob)->user;
  Texts seen;
  Bytes before;
  int pages = 0;
  do {
    const auto page = read_history(alice.store, chat, before, 10);
    ASSERT_TRUE(page);
    Texts texts;
    for (const auto& message : page->messages) {
      texts.push_back(message.text);
      EXPECT_EQ(message.status, Status::kDelivered);
    }
    seen.insert(seen.begin(), texts.begin(), texts.end());
    before = page->before;
    ++pages;
  } while (!before.empty());
  ASSERT_EQ(seen.size(), 25u);
  EXPECT_EQ(seen.front(), "0");
  EXPECT_EQ(seen.back(), "24");
  EXPECT_EQ(pages, 3);
}

TEST_F(Conversation, AThousandMessages) {
  alice.send(kBob, "warm up");
  world.settle();
  const auto start = std::chrono::steady_clock::now();
  for (int i = 0; i < 1000; ++i) alice.send(kBob, "message " + std::to_string(i));
  world.settle();
  const auto spent = std::chrono::steady_clock::now() - start;
  EXPECT_EQ(bob.events<MessageReceived>().size(), 1001u);
  RecordProperty("ms", static_cast<int>(spent / std::chrono::milliseconds(1)));
  std::printf("1,000 messages end to end with receipts: %d ms\n",
              static_cast<int>(spent / std::chrono::milliseconds(1)));
}

}  // namespace
}  // namespace godwit::client
