#include <algorithm>

#include "client/journal.h"
#include "client/search.h"
#include "client/test_world.h"

namespace godwit::client {
namespace {

using Kind = Act::Kind;

class Messages : public Conversation {
 protected:
  ChatId chat(Device& device, const char* with) { return device.engine().chat(with); }
  Result<MessageId> send(Device& device, const char* to, Text text) {
    const auto id = device.run(
        [&](Engine& e, Env& at, Effects& out) { return e.send(to, std::move(text), {}, at, out); });
    world.settle();
    return id;
  }
  Result<void> act(Device& device, const char* with, Act act) {
    const auto done = device.run([&](Engine& e, Env& at, Effects& out) {
      return e.act(e.chat(with), std::move(act), at, out);
    });
    world.settle();
    return done;
  }
  std::vector<Message> page(Device& device, const char* with) {
    return read_history(device.store, chat(device, with), {}, 100)->messages;
  }
  Message last(Device& device, const char* with) {
    const auto messages = page(device, with);
    EXPECT_FALSE(messages.empty());
    return messages.empty() ? Message{} : messages.back();
  }
  // Does any row hold these octets?
  static bool holds(Device& device, std::string_view text) {
    bool found = false;
    for (const ports::Space space : ports::kClientSpaces) {
      device.store.each(space, [&](ByteView, ByteView key, ByteView value, Instant) {
        found = found || text_of(value).find(text) != std::string_view::npos ||
                text_of(key).find(text) != std::string_view::npos;
      });
    }
    return found;
  }
  Texts found(Device& device, std::string_view words) {
    Texts out;
    const auto messages = search(device.store, words, {}, 10);
    EXPECT_TRUE(messages) << messages.error().text;
    if (!messages) return out;
    for (const Message& message : *messages) out.push_back(message.text);
    return out;
  }
};

TEST_F(Messages, AReactionIsOnePerPersonAndCanBeTakenBack) {
  const MessageId id = alice.send(kBob, "lunch?");
  world.settle();
  ASSERT_TRUE(act(bob, kAlice, {.kind = Kind::kReaction, .target = id, .text = "+1"}));
  ASSERT_TRUE(act(bob, kAlice, {.kind = Kind::kReaction, .target = id, .text = "-1"}));
  ASSERT_TRUE(act(alice, kBob, {.kind = Kind::kReaction, .target = id, .text = "ok"}));
  for (Device* device : {&alice, &bob}) {
    const Message message = last(*device, device == &alice ? kBob : kAlice);
    ASSERT_EQ(message.reactions.size(), 2u);
    const bool mine_first = message.reactions[0].from.is_nil();
    EXPECT_EQ(message.reactions[mine_first ? 1 : 0].emoji, device == &alice ? "-1" : "ok");
  }
  ASSERT_TRUE(act(bob, kAlice, {.kind = Kind::kReaction, .target = id}));
  EXPECT_EQ(last(alice, kBob).reactions.size(), 1u);
  EXPECT_FALSE(act(
      bob, kAlice,
      {.kind = Kind::kReaction, .target = id, .text = std::string(limits::kMaxReaction + 1, 'x')}));
  alice.expect_live_equals_stored();
  bob.expect_live_equals_stored();
}

TEST_F(Messages, OnlyTheWriterEditsAndOnlyForAQuarterOfAnHour) {
  const MessageId id = alice.send(kBob, "the zephyr at eight");
  world.settle();
  ASSERT_TRUE(act(alice, kBob, {.kind = Kind::kEdit, .target = id, .text = "the harbour at nine"}));
  EXPECT_EQ(last(bob, kAlice).text, "the harbour at nine");
  EXPECT_TRUE(last(bob, kAlice).edited);
  EXPECT_TRUE(last(alice, kBob).edited);
  EXPECT_EQ(found(bob, "harb"), Texts{"the harbour at nine"});
  EXPECT_TRUE(found(bob, "zephyr").empty());
  EXPECT_EQ(act(bob, kAlice, {.kind = Kind::kEdit, .target = id, .text = "forged"}).error().code,
            Code::kForbidden);
  world.pass(minutes(16));
  EXPECT_EQ(act(alice, kBob, {.kind = Kind::kEdit, .target = id, .text = "late"}).error().code,
            Code::kForbidden);
  alice.expect_live_equals_stored();
  bob.expect_live_equals_stored();
}

TEST_F(Messages, WhatIsDeletedForEveryoneIsNowhere) {
  const MessageId id = alice.send(kBob, "a secret armadillo");
  world.settle();
  ASSERT_TRUE(act(bob, kAlice, {.kind = Kind::kReaction, .target = id, .text = "pangolin"}));
  EXPECT_EQ(bob.engine().unread(chat(bob, kAlice)), 1u);
  EXPECT_EQ(act(bob, kAlice, {.kind = Kind::kDeletion, .target = id}).error().code,
            Code::kForbidden);
  ASSERT_TRUE(act(alice, kBob, {.kind = Kind::kDeletion, .target = id}));
  for (Device* device : {&alice, &bob}) {
    EXPECT_TRUE(last(*device, device == &alice ? kBob : kAlice).deleted);
    EXPECT_FALSE(holds(*device, "armadillo"));
    EXPECT_FALSE(holds(*device, "pangolin"));
    device->expect_live_equals_stored();
  }
  EXPECT_EQ(bob.engine().unread(chat(bob, kAlice)), 0u);
  const MessageId old = alice.send(kBob, "old");
  world.settle();
  world.pass(days(3));
  EXPECT_EQ(act(alice, kBob, {.kind = Kind::kDeletion, .target = old}).error().code,
            Code::kForbidden);
}

TEST_F(Messages, UnreadIsWhatLiesBehindAMarker) {
  for (int i = 0; i < 3; ++i) alice.send(kBob, "x");
  world.settle();
  const ChatId with_alice = chat(bob, kAlice);
  EXPECT_EQ(bob.engine().unread(with_alice), 3u);
  bob.read(kAlice);
  bob.read(kAlice);
  EXPECT_EQ(bob.engine().unread(with_alice), 0u);
  EXPECT_EQ(bob.engine().chat(with_alice).read_up_to, page(bob, kAlice).back().order);
  alice.send(kBob, "y");
  world.settle();
  bob.crash();
  EXPECT_EQ(bob.engine().unread(with_alice), 1u);
  bob.expect_live_equals_stored();
}

TEST_F(Messages, ReadReceiptsAreForBothOrNeither) {
  bob.run([](Engine& e, Env& at, Effects& out) {
    e.set_tells_reading(false, at, out);
    return 0;
  });
  alice.send(kBob, "read?");
  world.settle();
  bob.read(kAlice);
  bob.send(kAlice, "and mine?");
  world.settle();
  alice.read(kBob);
  world.settle();
  EXPECT_EQ(page(alice, kBob).front().status, Status::kDelivered);
  EXPECT_EQ(page(bob, kAlice).back().status, Status::kDelivered);
  EXPECT_FALSE(bob.engine().tells_reading());
  bob.expect_live_equals_stored();
}

TEST_F(Messages, AMessageTellsWhenItWasSentDeliveredAndRead) {
  alice.send(kBob, "when?");
  world.settle();
  world.pass(seconds(5));
  bob.read(kAlice);
  world.settle();
  const Message message = last(alice, kBob);
  EXPECT_GT(message.sent.ms, 0);
  EXPECT_GE(message.delivered, message.sent);
  EXPECT_GE(message.read, message.delivered + seconds(5));
}

TEST_F(Messages, WhatDisappearsIsNowhereAfterItsTime) {
  alice.send(kBob, "stays");
  world.settle();
  ASSERT_TRUE(
      send(alice, kBob, {.body = "", .extras = {.lifetime = hours(24), .sets_lifetime = true}}));
  EXPECT_EQ(bob.engine().chat(chat(bob, kAlice)).lifetime, hours(24));
  bob.send(kAlice, "a fading axolotl");
  world.settle();
  world.pass(hours(25));
  EXPECT_FALSE(holds(bob, "axolotl"));  // its sender's time began when it was sent
  EXPECT_TRUE(holds(alice, "axolotl"));  // nobody has read it
  alice.read(kBob);
  world.settle();
  alice.crash();
  world.settle();
  world.pass(hours(23));
  EXPECT_TRUE(holds(alice, "axolotl"));
  world.pass(hours(2));
  EXPECT_FALSE(holds(alice, "axolotl"));
  EXPECT_EQ(page(alice, kBob).front().text, "stays");
  alice.expect_live_equals_stored();
  bob.expect_live_equals_stored();
}

TEST_F(Messages, WhatDisappearsDoesSoTooWhenItCouldNotBeSent) {
  alice.send(kBob, "stays");
  world.settle();
  world.refuse = [](const proto::Frame& frame) -> std::optional<proto::ErrorBody> {
    if (frame.kind != proto::Kind::kSubmit) return std::nullopt;
    return proto::ErrorBody{Code::kInvalid, "no", {}};
  };
  ASSERT_TRUE(send(alice, kBob, {.body = "a fading newt", .extras = {.lifetime = hours(24)}}));
  EXPECT_EQ(last(alice, kBob).status, Status::kFailed);
  world.pass(hours(23));
  EXPECT_TRUE(holds(alice, "newt"));
  world.pass(hours(2));
  EXPECT_FALSE(holds(alice, "newt"));
}

TEST_F(Messages, ViewOnceIsSeenOnce) {
  ASSERT_TRUE(send(alice, kBob, {.body = "a shy platypus", .extras = {.view_once = true}}));
  EXPECT_FALSE(holds(alice, "platypus"));
  const Message stored = last(bob, kAlice);
  EXPECT_TRUE(bob.events<MessageReceived>().back().message.text.empty());
  EXPECT_TRUE(found(bob, "platypus").empty());
  const auto open = [&] {
    const auto text = bob.run(
        [&](Engine& e, Env& at, Effects& out) { return e.open_once(last(bob, kAlice), at, out); });
    world.settle();
    return text;
  };
  EXPECT_EQ(open()->body, "a shy platypus");
  EXPECT_FALSE(open());
  EXPECT_FALSE(holds(bob, "platypus"));
  EXPECT_TRUE(last(bob, kAlice).opened);
  EXPECT_TRUE(last(alice, kBob).opened);
  EXPECT_FALSE(bob.run(
      [&](Engine& e, Env& at, Effects& out) { return e.forward(stored, {kAlice}, at, out); }));
}

TEST_F(Messages, ForwardsAreCountedAndLimited) {
  alice.send(kBob, "chain letter");
  world.settle();
  const auto forward = [&](Device& device, const Message& message, std::vector<Recipient> to) {
    const auto ids = device.run(
        [&](Engine& e, Env& at, Effects& out) { return e.forward(message, to, at, out); });
    world.settle();
    return ids;
  };
  ASSERT_TRUE(forward(bob, last(bob, kAlice), {kAlice}));
  Message message = last(alice, kBob);
  EXPECT_EQ(message.extras.forwards, 1u);
  EXPECT_FALSE(forward(alice, message, std::vector<Recipient>(6, kBob)));
  EXPECT_TRUE(forward(alice, message, std::vector<Recipient>(2, kBob)));
  message.extras.forwards = limits::kManyForwards;
  EXPECT_FALSE(forward(alice, message, std::vector<Recipient>(2, kBob)));
  EXPECT_TRUE(forward(alice, message, {kBob}));
}

TEST_F(Messages, VotesChange) {
  const auto id = send(alice, kBob, {.body = "where?", .extras = {.poll = Poll{{"sea", "hills"}}}});
  ASSERT_TRUE(id);
  ASSERT_TRUE(act(bob, kAlice, {.kind = Kind::kVote, .target = *id, .choices = {0}}));
  ASSERT_TRUE(act(bob, kAlice, {.kind = Kind::kVote, .target = *id, .choices = {1}}));
  ASSERT_EQ(last(alice, kBob).votes.size(), 1u);
  EXPECT_EQ(last(alice, kBob).votes[0].choices, Bytes{1});
  ASSERT_TRUE(last(bob, kAlice).extras.poll);
}

TEST_F(Messages, PinsOfBothSidesConverge) {
  std::vector<MessageId> ids;
  for (int i = 0; i < 5; ++i) ids.push_back(alice.send(kBob, std::to_string(i)));
  world.settle();
  for (const MessageId id : ids) {
    ASSERT_TRUE(act(alice, kBob, {.kind = Kind::kPin, .target = id, .on = true}));
  }
  EXPECT_EQ(alice.engine().pins(chat(alice, kBob)).size(), limits::kPins);
  ASSERT_TRUE(act(bob, kAlice, {.kind = Kind::kPin, .target = ids[4], .on = false}));
  EXPECT_EQ(alice.engine().pins(chat(alice, kBob)), (std::vector{ids[1], ids[2], ids[3]}));
  EXPECT_EQ(bob.engine().pins(chat(bob, kAlice)), (std::vector{ids[1], ids[2], ids[3]}));
}

TEST_F(Messages, ANoteGoesNowhere) {
  ASSERT_TRUE(send(alice, kAlice, {.body = "buy milk"}));
  EXPECT_EQ(page(alice, kAlice).back().text, "buy milk");
  EXPECT_EQ(page(alice, kAlice).back().status, Status::kRead);
  EXPECT_FALSE(alice.engine().busy());
  EXPECT_EQ(world.asked(proto::Kind::kSubmit), 0u);
}

TEST_F(Messages, AMessageIsFoundByWordsAndByItsId) {
  alice.send(kBob, "Café in ZÜRICH, 東京 später");
  const MessageId id = alice.send(kBob, "something else");
  world.settle();
  EXPECT_EQ(found(bob, "zurich caf").size(), 1u);
  EXPECT_EQ(found(bob, "京").size(), 1u);
  EXPECT_TRUE(found(bob, "urich").empty());
  EXPECT_EQ(find_messages(bob.store, to_hex(id.view()).substr(0, 8))->at(0).id, id);
  EXPECT_EQ(find_messages(bob.store, "xyz1").error().code, Code::kInvalid);
}

TEST_F(Messages, EverythingIsStoredAsItLives) {
  const MessageId id = alice.send(kBob, "x");
  world.settle();
  alice.run([&](Engine& e, Env& at, Effects& out) {
    return e.change_chat(e.chat(kBob), {.archived = true, .draft = "half a"}, at, out);
  });
  alice.run([&](Engine& e, Env& at, Effects& out) {
    return e.put_broadcast_list({"Friends", {kBob}}, at, out);
  });
  alice.run([&](Engine& e, Env& at, Effects& out) {
    e.set_starred(last(alice, kBob), true, at, out);
    return 0;
  });
  world.settle();
  EXPECT_EQ(read_starred(alice.store)->at(0).id, id);
  EXPECT_NE(alice.engine().broadcast_list("friends"), nullptr);
  alice.crash();
  EXPECT_EQ(alice.engine().chat(chat(alice, kBob)).draft, "half a");
  alice.expect_live_equals_stored();
}

// ---- what a malicious or unlucky order brings

class JournalTest : public testing::Test {
 protected:
  Message message(UserId from) {
    Message m{.id = id, .chat = peer, .composed = env.now, .text = "first", .from = from};
    journal.add(m, ++order, turn);
    return m;
  }
  bool apply(UserId from, Kind kind, std::uint64_t revision, std::string text = {},
             Rights rights = {}) {
    return journal.apply(peer, from, rights, env.now,
                         {kind, id, revision, std::move(text), {}, false}, turn);
  }
  SeededEntropy entropy{1};
  Env env{Instant{1'000'000}, entropy};
  Turn turn{env};
  Chats chats;
  Receipts receipts;
  SentLog sent;
  Journal journal{chats, receipts, sent};
  const UserId peer = UserId::random(entropy);
  const MessageId id = MessageId::random(entropy);
  std::uint64_t order = 0;
};

TEST_F(JournalTest, AForgedChangeIsIgnored) {
  message({});
  EXPECT_FALSE(apply(peer, Kind::kEdit, 1, "forged"));
  EXPECT_FALSE(apply(peer, Kind::kDeletion, 2));
  EXPECT_FALSE(journal.deleted(peer, id));
}

TEST_F(JournalTest, AnOlderEditAfterANewerOneIsIgnored) {
  message(peer);
  EXPECT_TRUE(apply(peer, Kind::kEdit, 5, "newer"));
  EXPECT_FALSE(apply(peer, Kind::kEdit, 4, "older"));
  EXPECT_FALSE(apply(peer, Kind::kEdit, 5, "again"));
}

TEST_F(JournalTest, ADeletionBeforeItsMessageLeavesNothingOfIt) {
  EXPECT_FALSE(apply(peer, Kind::kEdit, 3, "edited"));
  EXPECT_FALSE(apply(peer, Kind::kDeletion, 4));
  const Message left = message(peer);
  EXPECT_TRUE(left.deleted);
  EXPECT_EQ(left.text, "");
}

TEST_F(JournalTest, WhatIsDeletedIsNotEditedAnyMore) {
  message(peer);
  EXPECT_TRUE(apply(peer, Kind::kDeletion, 4));
  EXPECT_FALSE(apply(peer, Kind::kEdit, 5, "back again"));
  EXPECT_FALSE(apply(peer, Kind::kDeletion, 6));
}

TEST_F(JournalTest, AnEditBeforeItsMessageHolds) {
  EXPECT_FALSE(apply(peer, Kind::kEdit, 4, "second"));
  EXPECT_FALSE(apply(peer, Kind::kEdit, 3, "earlier"));
  const Message left = message(peer);
  EXPECT_EQ(left.text, "second");
  EXPECT_TRUE(left.edited);
}

TEST_F(JournalTest, SomebodyElsesChangeDoesNotWaitForIt) {
  EXPECT_FALSE(apply(UserId::random(entropy), Kind::kDeletion, 4));
  EXPECT_FALSE(message(peer).deleted);
}

TEST_F(JournalTest, WhoModeratesDeletesButEditsNothing) {
  const UserId admin = UserId::random(entropy);
  message(peer);
  EXPECT_FALSE(apply(admin, Kind::kEdit, 3, "forged", {.moderates = true}));
  EXPECT_TRUE(apply(admin, Kind::kDeletion, 4, {}, {.moderates = true}));
  EXPECT_TRUE(journal.deleted(peer, id));
}

TEST_F(JournalTest, AModeratorsDeletionWaitsForItsMessage) {
  EXPECT_FALSE(apply(UserId::random(entropy), Kind::kDeletion, 4, {}, {.moderates = true}));
  EXPECT_TRUE(message(peer).deleted);
}

TEST_F(JournalTest, APinNeedsTheRightTo) {
  message(peer);
  EXPECT_FALSE(journal.apply(peer, peer, {.edits = false}, env.now,
                             {Kind::kPin, id, 2, {}, {}, true}, turn));
  EXPECT_TRUE(chats.pins(peer).empty());
}

TEST_F(JournalTest, PinsAreTheSameInWhateverOrderTheyAreTold) {
  struct Told {
    int which;
    std::uint64_t revision;
    bool on;
  };
  std::vector<MessageId> ids;
  for (int i = 0; i < 4; ++i) ids.push_back(MessageId::random(entropy));
  std::vector<Told> told{{0, 1, true}, {1, 2, true}, {2, 3, true}, {3, 4, true}, {3, 5, false}};
  do {
    Chats some;
    for (const Told& each : told) {
      some.pin(peer, ids[static_cast<std::size_t>(each.which)], each.revision, each.on, turn);
    }
    EXPECT_EQ(some.pins(peer), (std::vector{ids[0], ids[1], ids[2]}));
  } while (std::ranges::next_permutation(told, {}, &Told::revision).found);
}

TEST_F(JournalTest, PinnedAndTakenOffUnderOneRevisionItIsPinnedWithAll) {
  Chats some, other;
  some.pin(peer, id, 7, true, turn);
  some.pin(peer, id, 7, false, turn);
  other.pin(peer, id, 7, false, turn);
  other.pin(peer, id, 7, true, turn);
  EXPECT_EQ(some.pins(peer), std::vector{id});
  EXPECT_EQ(other.pins(peer), std::vector{id});
}

TEST_F(JournalTest, WhatWaitsIsBounded) {
  for (std::uint64_t i = 0; i < 2 * limits::kWaitingActs; ++i) {
    journal.apply(peer, peer, {}, env.now,
                  {Kind::kEdit, MessageId::random(entropy), i + 1, "x", {}, false}, turn);
  }
  ports::Batch all;
  journal.store_all(all);
  EXPECT_EQ(all.mutations.size(), limits::kWaitingActs);
}

}  // namespace
}  // namespace godwit::client
