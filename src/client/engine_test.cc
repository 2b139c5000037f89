#include "client/engine.h"

#include <gtest/gtest.h>

#include <chrono>

#include "client/rows.h"
#include "client/test_world.h"

namespace godwit::client {
namespace {

using proto::Frame;
using proto::Kind;

std::size_t uses_of_last_resort(Device& device) {
  const auto rows = device.store.scan({.partition = Engine::partition(),
                                       .space = ports::Space::kProfile,
                                       .first = row_key('U'),
                                       .end = row_key('V')});
  return rows ? rows->size() : 0;
}

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
  EXPECT_EQ(alice.events<ConnectionChanged>()[0].reason, "the server could not be reached");
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

TEST_F(Conversation, TypingIsShownAtOnceAndLeavesNoTrace) {
  const auto type = [&](bool active) {
    alice.run([&](Engine& e, Env& at, Effects& out) {
      e.set_typing(e.chat(kBob), active, at, out);
      return 0;
    });
    world.settle();
  };
  type(true);  // nobody she has talked to
  EXPECT_EQ(world.asked(Kind::kHint), 0u);
  alice.send(kBob, "salut");
  world.settle();
  type(true);
  type(false);
  ASSERT_EQ(bob.events<TypingChanged>().size(), 2u);
  EXPECT_TRUE(bob.events<TypingChanged>()[0].active);
  EXPECT_EQ(bob.events<TypingChanged>()[0].phone, kAlice);
  EXPECT_FALSE(bob.events<TypingChanged>()[1].active);
  bob.disconnect();
  type(true);
  alice.send(kBob, "and now");
  world.pass(minutes(1));
  EXPECT_EQ(bob.events<TypingChanged>().size(), 2u);
  EXPECT_EQ(bob.history(kAlice), (Texts{"salut", "and now"}));
  bob.expect_live_equals_stored();
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

TEST_F(Conversation, ASilentConnectionAsksRarelyAndLessRarelyAfterOneDiedOfIt) {
  alice.reachable = false;
  alice.disconnect();
  std::vector<Instant> pings;
  int forgotten = 0;
  Duration memory = hours(1);  // of what lies between
  world.swallow = [&](const Frame& frame) {
    if (frame.kind != Kind::kPing) return false;
    const bool lost = !pings.empty() && world.now - pings.back() > memory;
    pings.push_back(world.now);
    forgotten += lost;
    return lost;
  };
  world.pass(hours(1));
  ASSERT_GT(pings.size(), 10u);
  EXPECT_LT(pings.size(), 20u);
  EXPECT_EQ(pings.back() - pings[pings.size() - 2], limits::kPingMost);
  memory = seconds(100);
  world.pass(hours(1));
  EXPECT_EQ(forgotten, 2);  // 270 s; below 180 s, 127 s
  EXPECT_LT(pings.back() - pings[pings.size() - 2], memory);
  EXPECT_GT(pings.back() - pings[pings.size() - 2], Duration{memory.ms * 2 / 3});
}

// A ping is how a delivery is found out that was lost on its way.
TEST_F(Conversation, WhoHearsMuchStillPings) {
  int pings = 0;
  world.swallow = [&](const Frame& frame) {
    pings += frame.kind == Kind::kPing;
    return false;
  };
  for (int i = 0; i < 60; ++i) {
    alice.send(kBob, "again");
    world.pass(seconds(20));
  }
  EXPECT_GE(pings, 6);  // of two devices, in twenty minutes
}

TEST_F(Conversation, PrekeysAreToppedUpAndTheSignedOneRotated) {
  auto& account = world.account(kBob);
  account.one_time_prekeys.resize(5);
  const std::uint32_t last = account.one_time_prekeys.back().id;
  account.kem_prekeys.resize(3);
  const std::uint32_t last_kem = account.kem_prekeys.back().id;
  const std::uint32_t old_signed = account.signed_prekey.id;
  const std::uint32_t old_last_resort = account.last_resort_prekey.id;
  bob.receive(proto::make_frame(Kind::kPrekeysLow, 0, proto::PrekeyStock{5, 3}));
  world.settle();
  ASSERT_EQ(account.kem_prekeys.size(), 3 + limits::kKemPrekeyBatch);
  EXPECT_GT(account.kem_prekeys[3].id, last_kem);
  ASSERT_EQ(account.one_time_prekeys.size(), 5 + limits::kPrekeyBatch);
  EXPECT_GT(account.one_time_prekeys[5].id, last);
  world.now = world.now + days(8);
  world.pass(minutes(1));
  EXPECT_GT(account.signed_prekey.id, old_signed);
  EXPECT_GT(account.last_resort_prekey.id, old_last_resort);
  alice.send(kBob, "fresh");
  world.settle();
  EXPECT_EQ(bob.history(kAlice), Texts{"fresh"});
}

TEST_F(Conversation, TheLastResortPrekeyServesWhenTheOthersRanOut) {
  world.account(kBob).kem_prekeys.clear();
  world.account(kBob).one_time_prekeys.clear();
  alice.send(kBob, "hello?");
  world.settle();
  EXPECT_EQ(bob.history(kAlice), Texts{"hello?"});
  bob.expect_live_equals_stored();
  EXPECT_EQ(uses_of_last_resort(bob), 1u) << "remembered, so that it is not replayed";

  world.now = world.now + limits::kSignedPrekeyLifetime;
  world.pass(minutes(1));
  EXPECT_EQ(uses_of_last_resort(bob), 1u) << "it still opens late messages";
  world.now = world.now + limits::kSignedPrekeyLifetime + limits::kSignedPrekeyGrace;
  world.pass(minutes(1));
  EXPECT_EQ(uses_of_last_resort(bob), 0u) << "forgotten with the prekey";
  bob.expect_live_equals_stored();
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

TEST_F(Conversation, SpoiltRowsAreRefusedOrHarmless) {
  alice.send(kBob, "one");
  world.settle();
  alice.reachable = false;
  alice.disconnect();
  alice.send(kBob, "two");
  alice.send("+33644444444", "three");
  world.settle();
  SeededEntropy noise(4);
  int refused = 0;
  for (int i = 0; i < 400; ++i) {
    std::vector<Engine::Snapshot> snapshots;
    for (const ports::Space space : Engine::hydrated_spaces()) {
      snapshots.push_back({space, *alice.store.scan({Engine::partition(), space, {}, {}})});
    }
    std::erase_if(snapshots, [](const auto& snapshot) { return snapshot.rows.empty(); });
    auto& rows = snapshots[noise.below(snapshots.size())].rows;
    ports::Row& row = rows[noise.below(rows.size())];
    Bytes& spoilt = noise.below(4) == 0 ? row.key : row.value;
    if (noise.below(8) == 0) {
      rows.clear();
    } else if (noise.below(2) == 0) {
      spoilt.resize(noise.below(spoilt.size()));
    } else {
      spoilt[noise.below(spoilt.size())] ^= static_cast<std::uint8_t>(1 + noise.below(255));
    }
    auto loaded = Engine::load(std::move(snapshots));
    refused += loaded ? 0 : 1;
    if (!loaded) continue;
    Env env = alice.env();
    Effects out;
    (*loaded)->on_tick(env, out);
    (*loaded)->on_connected(env, out);
    (*loaded)->on_frame(proto::make_frame(Kind::kOk, 1, proto::Attached{}), env, out);
    (*loaded)->dump();
  }
  EXPECT_GT(refused, 50);
}

}  // namespace
}  // namespace godwit::client
