#include "client/healing.h"

#include <gtest/gtest.h>

#include "client/test_world.h"
#include "e2e/resend.h"

namespace godwit::client {
namespace {

using proto::CiphertextType;
using proto::Frame;
using proto::Kind;

// Without seals: what is damaged here is what they hold. sealing_test.cc damages them.
class Healed : public Conversation {
 protected:
  Healed() { world.certifies = false; }
  // They have talked, and all is confirmed.
  void talk() {
    alice.send(kBob, "hello");
    world.settle();
    bob.send(kAlice, "hello too");
    world.settle();
    ASSERT_EQ(logged(alice), 0u);
    ASSERT_EQ(asked(bob), 0u);
  }
  static std::size_t rows(Device& device, char tag) {
    const auto found = device.store.scan({.partition = Engine::partition(),
                                          .space = ports::Space::kOutbox,
                                          .first = row_key(tag),
                                          .end = row_key(static_cast<char>(tag + 1))});
    return found ? found->size() : 0;
  }
  // Messages that may be repeated, oldest first; receipts are none.
  static std::vector<Sent> log_of(Device& device) {
    const auto found = device.store.scan({.partition = Engine::partition(),
                                          .space = ports::Space::kOutbox,
                                          .first = row_key('R'),
                                          .end = row_key('S')});
    std::vector<Sent> log;
    for (const ports::Row& row : *found) {
      const auto sent = decode<Sent>(row.value);
      if (sent && sent->item.text) log.push_back(*sent);
    }
    return log;
  }
  static std::size_t logged(Device& device) { return log_of(device).size(); }
  static std::uint64_t asked(Device& device) { return device.engine().counters().requested; }
  static std::uint64_t repeated(Device& device) { return device.engine().counters().repeated; }
  // The device loses a whole space of its store, and starts again.
  void lose(Device& device, ports::Space space) {
    ports::Batch batch{.partition = Engine::partition()};
    batch.erase_range(space, {}, Bytes(40, 0xff));
    ASSERT_TRUE(device.store.write({&batch, 1}, ports::Durability::kSafe));
    device.crash();
    world.pass(seconds(5));
  }
  using Backup = std::vector<std::pair<ports::Space, std::vector<ports::Row>>>;
  static constexpr ports::Space kSpaces[] = {ports::Space::kProfile, ports::Space::kContact,
                                             ports::Space::kSession, ports::Space::kOutbox,
                                             ports::Space::kMessage};
  static Backup back_up(Device& device) {
    Backup backup;
    for (const ports::Space space : kSpaces) {
      backup.emplace_back(space,
                          *device.store.scan({.partition = Engine::partition(), .space = space}));
    }
    return backup;
  }
  static void restore(Device& device, const Backup& backup) {
    for (const auto& [space, rows] : backup) {
      ports::Batch batch{.partition = Engine::partition()};
      batch.erase_range(space, {}, Bytes(40, 0xff));
      for (const ports::Row& row : rows) batch.put(space, row.key, row.value);
      ASSERT_TRUE(device.store.write({&batch, 1}, ports::Durability::kSafe));
    }
    device.crash();
  }
  // Damages the next `count` envelopes to Bob.
  void damage(std::size_t count) {
    world.tamper = [this, count](UserId to, proto::Envelope& envelope) mutable {
      if (to != world.account(kBob).user || count == 0) return;
      --count;
      envelope.ciphertext[envelope.ciphertext.size() - 3] ^= 1;
    };
  }
  proto::Envelope request(std::optional<EnvelopeId> about,
                          std::optional<e2e::PublicKey> ratchet = {}) {
    return {{},
            {},
            {1},
            CiphertextType::kPlain,
            e2e::encode_plaintext({ratchet, world.now, DeviceId{1}, about}),
            world.now};
  }
  // Requests that anybody may have made, as if from Alice.
  void forge(const proto::Envelope& envelope) {
    inject(envelope.ciphertext, CiphertextType::kPlain);
  }
};

TEST_F(Healed, AMessageInALostSessionIsAskedForAndShownOnce) {
  talk();
  lose(bob, ports::Space::kSession);
  alice.send(kBob, "one");
  alice.send(kBob, "two");
  world.pass(minutes(1));
  EXPECT_EQ(bob.history(kAlice), (Texts{"hello", "hello too (delivered)", "one", "two"}));
  EXPECT_EQ(alice.history(kBob).back(), "two (delivered)");
  EXPECT_EQ(asked(bob), 2u);
  EXPECT_EQ(repeated(alice), 2u);
  EXPECT_EQ(logged(alice), 0u);
  EXPECT_EQ(rows(bob, 'H'), 0u);
  bob.send(kAlice, "back");
  world.settle();
  EXPECT_EQ(alice.history(kBob).back(), "back");
}

TEST_F(Healed, AStrangersFirstMessageIsAskedForToo) {
  lose(bob, ports::Space::kContact);
  world.account(kBob).one_time_prekeys[0].key = world.account(kBob).one_time_prekeys[1].key;
  alice.send(kBob, "who are you?");
  world.pass(minutes(1));
  EXPECT_EQ(bob.history(kAlice), Texts{"who are you?"});
  EXPECT_EQ(asked(bob), 1u);
}

TEST_F(Healed, ADamagedMessageIsShownLateAndTheNextOnesAreNotHeldUp) {
  talk();
  bob.reachable = false;
  bob.disconnect();
  damage(1);
  alice.send(kBob, "damaged");
  world.settle();
  alice.send(kBob, "whole");
  bob.reachable = true;
  world.pass(minutes(1));
  const auto shown = bob.events<MessageReceived>();
  ASSERT_EQ(shown.size(), 3u);
  EXPECT_EQ(shown[1].message.text, "whole");
  EXPECT_FALSE(shown[1].message.late);
  EXPECT_EQ(shown[2].message.text, "damaged");
  EXPECT_TRUE(shown[2].message.late);
  EXPECT_EQ(asked(bob), 1u);
}

TEST_F(Healed, AnEnvelopeThatIsStoredTwiceIsNotAskedFor) {
  talk();
  bob.reachable = false;
  bob.disconnect();
  alice.send(kBob, "once");
  world.settle();
  auto& account = world.account(kBob);
  account.mailbox.push_back({Sequence{++account.last_sequence}, account.mailbox[0].envelope});
  bob.reachable = true;
  world.pass(minutes(1));
  EXPECT_EQ(bob.history(kAlice).back(), "once");
  EXPECT_EQ(bob.events<MessageReceived>().size(), 2u);
  EXPECT_EQ(bob.engine().counters().duplicates, 1u);
  EXPECT_EQ(asked(bob), 0u);
}

TEST_F(Healed, ARequestSurvivesACrash) {
  talk();
  lose(bob, ports::Space::kSession);
  int seen = 0;
  world.swallow = [&](const Frame& frame) { return frame.kind == Kind::kSubmit && ++seen == 2; };
  alice.send(kBob, "one");
  world.settle();
  EXPECT_EQ(rows(bob, 'H'), 1u);
  bob.crash();
  EXPECT_TRUE(bob.engine().busy());
  world.pass(minutes(1));
  EXPECT_EQ(bob.history(kAlice).back(), "one");
}

TEST_F(Healed, APersonThatTheServerForgotIsNotAskedForEver) {
  talk();
  refuse(Kind::kSubmit, {Code::kNotFound, "gone"}, 1);
  inject(Bytes(100, 0x44), CiphertextType::kWhisper);
  EXPECT_EQ(rows(bob, 'H'), 0u);
  EXPECT_FALSE(bob.engine().busy());
}

TEST_F(Healed, RequestsAreBounded) {
  talk();
  for (std::uint32_t i = 0; i < limits::kRetryRequests + 50; ++i) {
    inject(Bytes(100, static_cast<std::uint8_t>(i)), CiphertextType::kWhisper);
  }
  EXPECT_EQ(asked(bob), limits::kRetryRequests);
  EXPECT_LE(bob.engine().counters().sessions_reset, limits::kSessionResets);
  EXPECT_EQ(repeated(alice), 0u);
  world.now = world.now + limits::kHealingWindow;
  inject(Bytes(100, 1), CiphertextType::kWhisper);
  EXPECT_EQ(asked(bob), limits::kRetryRequests + 1);
}

TEST_F(Healed, AForgedRequestCausesNothingButTheSameMessageForTheSameDevice) {
  talk();
  alice.disconnect();
  alice.reachable = false;
  bob.send(kAlice, "secret");
  world.settle();
  ASSERT_EQ(world.account(kAlice).mailbox.size(), 1u);
  const EnvelopeId about = world.account(kAlice).mailbox[0].envelope.id;
  SeededEntropy entropy(3);
  forge(request({}));
  forge(request(EnvelopeId::random(entropy)));
  EXPECT_EQ(repeated(bob), 0u);
  for (int i = 0; i < 20; ++i) forge(request(about));
  EXPECT_EQ(repeated(bob), 1u) << "one envelope, one repetition";
  alice.reachable = true;
  world.pass(minutes(1));
  EXPECT_EQ(alice.history(kBob).back(), "secret");
  EXPECT_EQ(alice.events<MessageReceived>().size(), 2u);
}

TEST_F(Healed, OneMessageIsRepeatedABoundedNumberOfTimes) {
  talk();
  damage(SIZE_MAX);
  alice.send(kBob, "never");
  world.pass(hours(1));
  EXPECT_EQ(repeated(alice), limits::kRepeatsAtOnce);
  for (int i = 0; i < 12; ++i) {
    bob.send(kAlice, "I am here");
    world.pass(hours(2));
  }
  EXPECT_EQ(bob.events<MessageReceived>().size(), 1u);
  EXPECT_EQ(log_of(alice).front().repeats,
            limits::kRepeatRounds + limits::kRepeatsAtOnce * (limits::kRepeatRounds + 1));
  EXPECT_FALSE(alice.engine().busy());
}

// As when a device was restored: it misses the prekeys that a repetition used, and has made new
// ones when it asks.
TEST_F(Healed, WhatFailsAfterAWaitIsRepeatedWhenItIsAskedFor) {
  talk();
  damage(1 + limits::kRepeatsAtOnce);
  alice.send(kBob, "late");
  world.pass(hours(1));
  EXPECT_EQ(repeated(alice), limits::kRepeatsAtOnce);
  bob.send(kAlice, "I am here");
  world.pass(minutes(1));
  damage(1);
  world.pass(minutes(5));
  EXPECT_EQ(repeated(alice), limits::kRepeatsAtOnce + 2);
  EXPECT_EQ(bob.history(kAlice).back(), "late");
  EXPECT_EQ(logged(alice), 0u);
}

TEST_F(Healed, NothingIsRepeatedForAnotherIdentity) {
  talk();
  bob.disconnect();
  bob.reachable = false;
  alice.send(kBob, "for Bob's old phone");
  world.settle();
  const EnvelopeId about = world.account(kBob).mailbox[0].envelope.id;
  Device& phone = world.add(kBob);
  phone.enroll();
  phone.send(kAlice, "new phone");
  world.settle();
  ASSERT_EQ(alice.events<IdentityChanged>().size(), 1u);
  auto& account = world.account(kAlice);
  proto::Envelope asks = request(about);
  asks.from = world.account(kBob).user;
  account.mailbox.push_back({Sequence{++account.last_sequence}, asks});
  world.push(account, account.last_sequence - 1);
  world.pass(minutes(10));
  EXPECT_EQ(phone.history(kAlice), Texts{"new phone (delivered)"});
  EXPECT_EQ(logged(alice), 0u) << "let go";
}

TEST_F(Healed, TheLogIsBounded) {
  talk();
  bob.disconnect();
  bob.reachable = false;
  for (std::size_t i = 0; i < limits::kSentItems + 100; ++i) {
    alice.send(kBob, std::to_string(i));
    if (i % 100 == 0) world.settle();
  }
  world.settle();
  EXPECT_EQ(logged(alice), limits::kSentItems);
  world.now = world.now + limits::kSentLifetime + hours(1);
  alice.send(kBob, "a week later");
  world.pass(minutes(2));
  EXPECT_EQ(logged(alice), 1u);
}

TEST_F(Healed, ARestoredSenderIsReadAlthoughItUsesKeysAndNumbersAgain) {
  talk();
  const Backup backup = back_up(alice);
  for (int i = 0; i < 5; ++i) alice.send(kBob, "lost " + std::to_string(i));
  world.settle();
  ASSERT_EQ(bob.history(kAlice).size(), 7u);
  restore(alice, backup);
  for (int i = 0; i < 3; ++i) alice.send(kBob, "again " + std::to_string(i));
  world.pass(minutes(10));
  const auto shown = bob.history(kAlice);
  ASSERT_EQ(shown.size(), 10u);
  for (std::size_t i = 0; i < 3; ++i) EXPECT_EQ(shown[7 + i], "again " + std::to_string(i));
  EXPECT_EQ(alice.history(kBob).back(), "again 2 (delivered)");
  bob.send(kAlice, "and back");
  world.pass(minutes(1));
  EXPECT_EQ(alice.history(kBob).back(), "and back");
}

TEST_F(Healed, ARestoredReceiverAsksForWhatItCannotRead) {
  talk();
  const Backup backup = back_up(bob);
  for (int i = 0; i < 3; ++i) {
    alice.send(kBob, "a" + std::to_string(i));
    world.settle();
    bob.send(kAlice, "b" + std::to_string(i));
    world.settle();
  }
  restore(bob, backup);
  alice.send(kBob, "still there?");
  world.pass(minutes(1));
  EXPECT_EQ(bob.history(kAlice).back(), "still there?");
  EXPECT_EQ(alice.history(kBob).back(), "still there? (delivered)");
}

TEST_F(Healed, ARestoredReceiverMakesNewPrekeys) {
  talk();
  const Backup backup = back_up(bob);
  world.now = world.now + limits::kSignedPrekeyLifetime + days(1);
  world.account(kBob).one_time_prekeys.clear();
  world.account(kBob).kem_prekeys.clear();
  bob.receive(proto::make_frame(Kind::kPrekeysLow, 0, proto::PrekeyStock{}));
  world.pass(minutes(1));
  restore(bob, backup);
  lose(alice, ports::Space::kSession);
  const std::uint32_t before = world.account(kBob).one_time_prekeys.front().id;
  alice.send(kBob, "with keys that are lost");
  world.pass(minutes(1));
  EXPECT_EQ(bob.history(kAlice).back(), "with keys that are lost");
  EXPECT_GT(world.account(kBob).one_time_prekeys.front().id, before + limits::kPrekeyBatch);
  bob.expect_live_equals_stored();
}

TEST_F(Healed, AReceiverRestoredTwiceFromOneBackupIsStillRead) {
  talk();
  const Backup backup = back_up(bob);
  std::set<std::uint32_t> ids;
  for (const std::string text : {"once", "twice", "thrice"}) {
    restore(bob, backup);
    lose(alice, ports::Space::kSession);
    if (ids.empty()) world.account(kBob).one_time_prekeys.front().id += 1000;  // one it never had
    alice.send(kBob, text);
    world.pass(minutes(30));
    EXPECT_EQ(bob.history(kAlice).back(), text);
    EXPECT_TRUE(ids.insert(world.account(kBob).one_time_prekeys.front().id).second) << text;
  }
}

// The one that confirmed it has forgotten, and so has the one that was told.
TEST_F(Healed, ALostConfirmationIsGivenAgain) {
  talk();
  bob.disconnect();
  bob.reachable = false;
  alice.send(kBob, "seen?");
  world.settle();
  const Backup backup = back_up(alice);
  bob.reachable = true;
  world.pass(minutes(1));
  ASSERT_EQ(alice.history(kBob).back(), "seen? (delivered)");
  restore(alice, backup);
  world.pass(limits::kReceiptGrace);
  EXPECT_EQ(alice.history(kBob).back(), "seen? (sent)");
  bob.send(kAlice, "are you there?");
  world.pass(minutes(10));
  EXPECT_EQ(alice.history(kBob)[2], "seen? (delivered)");
  EXPECT_EQ(bob.events<MessageReceived>().size(), 2u) << "shown once";
}

TEST_F(Healed, NobodyIsDisturbedWhileTheRecipientIsAway) {
  talk();
  bob.disconnect();
  bob.reachable = false;
  alice.send(kBob, "later");
  world.pass(days(3));
  EXPECT_EQ(world.account(kBob).mailbox.size(), 1u);
  EXPECT_EQ(repeated(alice), 0u);
}

}  // namespace
}  // namespace godwit::client
