#include "client/inbox.h"

#include <gtest/gtest.h>

#include "client/test_world.h"

namespace godwit::client {
namespace {

using proto::Frame;
using proto::Kind;

using Receiving = Conversation;

TEST_F(Receiving, PoisonNeverWedgesTheQueue) {
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

TEST_F(Receiving, NoFrameOfTheServerBreaksTheEngine) {
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

TEST(ReceivingAlone, AStrangersNumberIsConfirmedFirst) {
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

// The answer may have been on its way for long, and say what was so then.
TEST(ReceivingAlone, WhoWasNobodyBeforeAMessageWasWrittenIsLookedUpAgain) {
  World fresh;
  Device& a = fresh.add(kAlice);
  Device& b = fresh.add(kBob);
  a.enroll();
  int lookups = 0;
  fresh.refuse = [&](const Frame& frame) -> std::optional<proto::ErrorBody> {
    if (frame.kind != Kind::kLookup || ++lookups != 1) return std::nullopt;
    b.enroll();
    a.send(kBob, "two");
    return proto::ErrorBody{Code::kNotFound, "nobody", {}};
  };
  a.send(kBob, "one");
  fresh.settle();
  EXPECT_EQ(b.history(kAlice), (Texts{"one", "two"}));
}

TEST(ReceivingAlone, AStrangerIsShownWithoutNumberWhenTheDirectoryWillNotSay) {
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

TEST(ReceivingAlone, AClaimedNumberThatIsAnotherPersonsIsNotBelieved) {
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
  EXPECT_EQ(b.events<MessageReceived>()[0].message.chat, ChatId(sender));
}

TEST_F(Receiving, HistoryIsReadInPages) {
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

TEST_F(Receiving, AnOldPhonesLateMessageIsShownAndChangesNoKey) {
  alice.send(kBob, "hello");
  bob.send(kAlice, "hello too");
  world.settle();
  alice.reachable = false;
  alice.disconnect();
  bob.send(kAlice, "late");
  world.settle();
  Device& phone = world.add(kBob);
  phone.enroll();
  phone.send(kAlice, "new phone");
  world.settle();
  // Alice hears of the new phone before she gets what the old one had left.
  std::swap(world.account(kAlice).mailbox[0].envelope, world.account(kAlice).mailbox[1].envelope);
  alice.reachable = true;
  world.pass(minutes(2));
  EXPECT_EQ(alice.events<IdentityChanged>().size(), 1u);
  ASSERT_EQ(alice.events<MessageReceived>().size(), 3u);
  EXPECT_EQ(alice.events<MessageReceived>()[2].message.text, "late");
  alice.send(kBob, "to the new phone");
  world.pass(minutes(1));
  EXPECT_EQ(phone.history(kAlice).back(), "to the new phone");
  EXPECT_EQ(alice.events<IdentityChanged>().size(), 1u);
}

TEST_F(Receiving, AUsedOneTimePrekeyIsErased) {
  const auto keys = [&] {
    const auto rows = bob.store.scan({.partition = Engine::partition(),
                                      .space = ports::Space::kProfile,
                                      .first = row_key('O'),
                                      .end = row_key('P')});
    return rows->size();
  };
  EXPECT_EQ(keys(), limits::kPrekeyBatch);
  alice.send(kBob, "one");
  world.settle();
  EXPECT_EQ(keys(), limits::kPrekeyBatch - 1);
}

TEST_F(Receiving, RepeatedDeliveriesAreAcknowledgedAgainAndShownOnce) {
  world.swallow = [](const Frame& frame) { return frame.kind == Kind::kAck; };
  alice.send(kBob, "once");
  world.settle();
  ASSERT_EQ(world.account(kBob).mailbox.size(), 1u);
  world.push(world.account(kBob), 0);
  world.settle();
  bob.crash();
  world.swallow = nullptr;
  world.pass(minutes(1));
  EXPECT_EQ(bob.history(kAlice), Texts{"once"});
  EXPECT_TRUE(world.account(kBob).mailbox.empty());
}

}  // namespace
}  // namespace godwit::client
