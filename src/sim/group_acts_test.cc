// What people do with a group's messages.
#include <algorithm>

#include "sim/test_group_world.h"

namespace godwit::sim {
namespace {

using client::Act;
using client::Message;
using client::Status;
using Kind = client::Act::Kind;
using GroupAct = Engine::GroupAct;

class GroupActs : public GroupWorld {
 protected:
  void SetUp() override {
    GroupWorld::SetUp();
    alice = &enroll(1);
    bob = &enroll(2);
    carol = &enroll(3);
    group = create(*alice, "Birds", {bob, carol});
  }
  Result<MessageId> send(Phone& by, client::Text text) {
    return run(by, [&](Engine& e, Env& at, client::Effects& out) {
      return e.send(group, std::move(text), {}, at, out);
    });
  }
  Result<void> act(Phone& by, MessageId target, Act what) {
    what.target = target;
    return run(by, [&](Engine& e, Env& at, client::Effects& out) {
      return e.act(group, std::move(what), at, out);
    });
  }
  void read(Phone& by) {
    ASSERT_TRUE(run(
        by, [&](Engine& e, Env& at, client::Effects& out) { return e.mark_read(group, at, out); }));
  }
  // As the person's device has it.
  Message message(Phone& phone, MessageId id) {
    const auto found = client::find_messages(phone.store, to_hex(id.view()));
    if (!found || found->size() != 1) return {};
    return found->front();
  }
  bool holds(Phone& phone, std::string_view text) {
    for (const auto space : {ports::Space::kMessage, ports::Space::kAct, ports::Space::kSearch,
                             ports::Space::kOutbox, ports::Space::kContact, ports::Space::kChat}) {
      const auto rows = *phone.store.scan({Engine::partition(), space, {}, {}});
      for (const ports::Row& row : rows) {
        if (to_string(row.value).find(text) != std::string::npos) return true;
      }
    }
    return false;
  }

  Phone *alice = nullptr, *bob = nullptr, *carol = nullptr;
  GroupId group;
};

TEST_F(GroupActs, EverybodySeesReactionsVotesAndEdits) {
  const auto id =
      send(*alice, {.body = "heron or egret?", .extras = {.poll = {{{"heron", "egret"}, false}}}});
  ASSERT_TRUE(id);
  ASSERT_TRUE(act(*bob, *id, {.kind = Kind::kReaction, .text = "🦢"}));
  ASSERT_TRUE(act(*carol, *id, {.kind = Kind::kVote, .choices = {1}}));
  const auto typo = send(*carol, {.body = "erget"});
  ASSERT_TRUE(act(*carol, *typo, {.kind = Kind::kEdit, .text = "egret"}));
  for (Phone* phone : {alice, bob, carol}) {
    const Message poll = message(*phone, *id);
    ASSERT_EQ(poll.reactions.size(), 1u) << phone->number;
    EXPECT_EQ(poll.reactions[0].emoji, "🦢");
    ASSERT_EQ(poll.votes.size(), 1u);
    EXPECT_EQ(poll.votes[0].choices, Bytes{1});
    EXPECT_EQ(message(*phone, *typo).text, "egret");
  }
}

TEST_F(GroupActs, OnlyTheWriterEdits) {
  const auto id = send(*bob, {.body = "mine"});
  EXPECT_EQ(act(*carol, *id, {.kind = Kind::kEdit, .text = "theirs"}).error().code,
            Code::kForbidden);
  EXPECT_EQ(act(*alice, *id, {.kind = Kind::kEdit, .text = "an admin's"}).error().code,
            Code::kForbidden);
}

TEST_F(GroupActs, WritersAndAdminsDeleteForEveryone) {
  const auto first = send(*bob, {.body = "a shy bittern"});
  const auto second = send(*carol, {.body = "a loud crake"});
  EXPECT_EQ(act(*bob, *second, {.kind = Kind::kDeletion}).error().code, Code::kForbidden);
  ASSERT_TRUE(act(*bob, *first, {.kind = Kind::kDeletion}));
  ASSERT_TRUE(act(*alice, *second, {.kind = Kind::kDeletion}));
  for (Phone* phone : {alice, bob, carol}) {
    EXPECT_TRUE(message(*phone, *first).deleted);
    EXPECT_TRUE(message(*phone, *second).deleted);
    EXPECT_FALSE(holds(*phone, "bittern"));
    EXPECT_FALSE(holds(*phone, "crake"));
  }
}

TEST_F(GroupActs, WhoIsNoAdminAnyMoreDeletesNothing) {
  ASSERT_TRUE(change(*alice, group, GroupAct::kPromote, bob));
  const auto id = send(*carol, {.body = "stays"});
  // Bob deletes it while he is away, and is demoted meanwhile.
  bob->reachable = false;
  restart(*bob);
  ASSERT_TRUE(act(*bob, *id, {.kind = Kind::kDeletion}));
  ASSERT_TRUE(change(*alice, group, GroupAct::kDemote, bob));
  bob->reachable = true;
  pass(minutes(3));
  for (Phone* phone : {alice, bob, carol}) EXPECT_FALSE(message(*phone, *id).deleted);
  EXPECT_EQ(bob->engine->outbox_size(), 0u);
}

TEST_F(GroupActs, WhoWasAnAdminWhenTheServerTookItHasDeletedItWhateverTheyHeard) {
  ASSERT_TRUE(change(*alice, group, GroupAct::kPromote, bob));
  const auto id = send(*carol, {.body = "goes"});
  ASSERT_TRUE(send(*bob, {.body = "tells everybody my chain"}));
  bool lost = false;
  from_server = [&](proto::Frame& frame) {
    return frame.kind != proto::Kind::kOk || std::exchange(lost, true);
  };
  ASSERT_TRUE(act(*bob, *id, {.kind = Kind::kDeletion}));
  EXPECT_TRUE(message(*carol, *id).deleted);
  EXPECT_FALSE(message(*bob, *id).deleted);
  bob->reachable = false;
  restart(*bob);
  ASSERT_TRUE(change(*alice, group, GroupAct::kDemote, bob));
  bob->reachable = true;
  pass(minutes(3));
  EXPECT_FALSE(view(*bob, group).members.empty());
  for (Phone* phone : {alice, bob, carol}) EXPECT_TRUE(message(*phone, *id).deleted);
}

TEST_F(GroupActs, WhoWasAwayJudgesByWhatTheGroupWasThen) {
  ASSERT_TRUE(change(*alice, group, GroupAct::kPromote, bob));
  const auto id = send(*carol, {.body = "goes"});
  carol->reachable = false;
  restart(*carol);
  ASSERT_TRUE(act(*bob, *id, {.kind = Kind::kDeletion}));
  ASSERT_TRUE(change(*alice, group, GroupAct::kDemote, bob));
  carol->reachable = true;
  pass(minutes(3));
  for (Phone* phone : {alice, bob, carol}) EXPECT_TRUE(message(*phone, *id).deleted);
}

TEST_F(GroupActs, PinsAreTheAdminsUnlessAllEdit) {
  const auto id = send(*bob, {.body = "pin me"});
  EXPECT_EQ(act(*bob, *id, {.kind = Kind::kPin, .on = true}).error().code, Code::kForbidden);
  ASSERT_TRUE(act(*alice, *id, {.kind = Kind::kPin, .on = true}));
  for (Phone* phone : {alice, bob, carol}) {
    EXPECT_EQ(phone->engine->pins(group), std::vector<MessageId>{*id});
  }
}

TEST_F(GroupActs, EachMembersProgressIsKnown) {
  carol->reachable = false;
  restart(*carol);
  const auto id = send(*alice, {.body = "who reads this?"});
  EXPECT_EQ(message(*alice, *id).status, Status::kSent);
  read(*bob);
  pass(seconds(2));
  Message seen = message(*alice, *id);
  ASSERT_EQ(seen.arrivals.size(), 2u);
  const auto of = [&](Phone& phone) {
    const UserId user = phone.engine->profile().user;
    return *std::ranges::find(seen.arrivals, user, &client::Arrival::member);
  };
  EXPECT_NE(of(*bob).read.ms, 0);
  EXPECT_EQ(of(*carol).delivered.ms, 0);
  carol->reachable = true;
  pass(minutes(2));
  seen = message(*alice, *id);
  EXPECT_EQ(seen.status, Status::kDelivered);
  EXPECT_EQ(of(*carol).read.ms, 0);
  read(*carol);
  pass(seconds(2));
  seen = message(*alice, *id);
  EXPECT_EQ(seen.status, Status::kRead);
  std::vector<UserId> told;
  for (const auto& event : events<client::StatusChanged>(*alice)) {
    if (event.id == *id && event.status == Status::kRead) told.push_back(event.from);
  }
  EXPECT_EQ(told, (std::vector{bob->engine->profile().user, carol->engine->profile().user}));
}

TEST_F(GroupActs, ReadReceiptsCanBeSwitchedOff) {
  const auto hide = [&](Phone& phone) {
    run(phone, [](Engine& e, Env& at, client::Effects& out) {
      e.set_tells_reading(false, at, out);
      return true;
    });
  };
  hide(*bob);
  const auto from_alice = send(*alice, {.body = "one"});
  const auto from_bob = send(*bob, {.body = "two"});
  for (Phone* phone : {alice, bob, carol}) read(*phone);
  pass(seconds(2));
  for (const auto& arrival : message(*alice, *from_alice).arrivals) {
    EXPECT_NE(arrival.delivered.ms, 0);
    EXPECT_EQ(arrival.read.ms != 0, arrival.member == carol->engine->profile().user);
  }
  EXPECT_EQ(message(*bob, *from_bob).status, Status::kDelivered);
}

TEST_F(GroupActs, AReceiptOfSomebodyElseCountsForNothing) {
  Phone& dora = enroll(4);
  const auto id = send(*alice, {.body = "for members"});
  pass(seconds(2));
  // Dora cannot know the id; even so.
  const client::ContactRow row{.contact = {.user = dora.engine->profile().user}};
  ports::Batch batch{Engine::partition(), {}};
  Bytes when;
  put_be64(when, 7);
  batch.put(ports::Space::kAct, client::act_row_key(group, *id, 'y', row.contact.user), when);
  ASSERT_TRUE(alice->store.write({&batch, 1}, ports::Durability::kSafe));
  EXPECT_EQ(message(*alice, *id).arrivals.size(), 2u);
  EXPECT_EQ(message(*alice, *id).status, Status::kDelivered);
}

TEST_F(GroupActs, MentionsAreCountedAndMeanMembers) {
  Phone& dora = enroll(4);
  EXPECT_EQ(send(*alice, {.body = "@dora", .extras = {.mentions = {dora.number}}}).error().code,
            Code::kInvalid);
  ASSERT_TRUE(send(*alice, {.body = "@bob", .extras = {.mentions = {bob->number}}}));
  ASSERT_TRUE(send(*alice, {.body = "all"}));
  EXPECT_EQ(bob->engine->unread(group), 2u);
  EXPECT_EQ(bob->engine->mentions(group), 1u);
  EXPECT_EQ(carol->engine->mentions(group), 0u);
  restart(*bob);
  EXPECT_EQ(bob->engine->mentions(group), 1u);
  read(*bob);
  EXPECT_EQ(bob->engine->unread(group), 0u);
  EXPECT_EQ(bob->engine->mentions(group), 0u);
}

TEST_F(GroupActs, MessagesDisappearForEachReader) {
  client::Text sets;
  sets.extras.sets_lifetime = true;
  sets.extras.lifetime = hours(1);
  EXPECT_EQ(send(*bob, sets).error().code, Code::kForbidden);
  ASSERT_TRUE(send(*alice, sets));
  EXPECT_EQ(bob->engine->chat(client::ChatId(group)).lifetime, hours(1));
  const auto id = send(*bob, {.body = "a brief sandpiper"});
  read(*carol);
  pass(hours(1) + minutes(1));
  EXPECT_FALSE(holds(*bob, "sandpiper"));
  EXPECT_FALSE(holds(*carol, "sandpiper"));
  EXPECT_EQ(message(*alice, *id).text, "a brief sandpiper");  // not read yet
  read(*alice);
  pass(hours(1) + minutes(1));
  EXPECT_FALSE(holds(*alice, "sandpiper"));
}

TEST_F(GroupActs, AViewOnceMessageIsOpenedByEachAndTheWriterAloneIsTold) {
  const auto id = send(*alice, {.body = "a shy rail", .extras = {.view_once = true}});
  const Message stored = message(*bob, *id);
  const auto text = run(
      *bob, [&](Engine& e, Env& at, client::Effects& out) { return e.open_once(stored, at, out); });
  ASSERT_TRUE(text);
  EXPECT_EQ(text->body, "a shy rail");
  EXPECT_FALSE(holds(*bob, "shy rail"));
  EXPECT_TRUE(holds(*carol, "shy rail"));
  EXPECT_TRUE(message(*alice, *id).opened);
  EXPECT_FALSE(message(*carol, *id).opened);
  EXPECT_TRUE(events<client::MessageChanged>(*carol).empty());
}

TEST_F(GroupActs, AMessageIsForwardedIntoAGroupAndAnswered) {
  const auto private_one = run(*bob, [&](Engine& e, Env& at, client::Effects& out) {
    return e.send(alice->number, {.body = "news"}, {}, at, out);
  });
  const Message news = message(*alice, *private_one);
  const auto ids = run(*alice, [&](Engine& e, Env& at, client::Effects& out) {
    return e.forward(news, {group, carol->number}, at, out);
  });
  ASSERT_TRUE(ids);
  EXPECT_EQ(message(*bob, ids->front()).extras.forwards, 1u);
  const auto answer = send(*bob, {.body = "old", .extras = {.quote = {{ids->front(), "news"}}}});
  EXPECT_EQ(message(*carol, *answer).extras.quote->id, ids->front());
}

TEST_F(GroupActs, WhatWasDoneOfflineHappensLaterAndSurvivesARestart) {
  const auto id = send(*alice, {.body = "one"});
  bob->reachable = false;
  restart(*bob);
  ASSERT_TRUE(act(*bob, *id, {.kind = Kind::kReaction, .text = "👍"}));
  restart(*bob);
  EXPECT_EQ(bob->engine->outbox_size(), 1u);
  bob->reachable = true;
  pass(minutes(2));
  EXPECT_EQ(bob->engine->outbox_size(), 0u);
  EXPECT_EQ(message(*carol, *id).reactions.size(), 1u);
}

TEST_F(GroupActs, WhoComposesShowsInTheGroup) {
  ASSERT_TRUE(send(*bob, {.body = "now there are sessions"}));
  run(*bob, [&](Engine& e, Env& at, client::Effects& out) {
    e.set_typing(group, true, at, out);
    return true;
  });
  const auto told = events<client::TypingChanged>(*alice);
  ASSERT_EQ(told.size(), 1u);
  EXPECT_EQ(told[0].chat, client::ChatId(group));
  EXPECT_EQ(told[0].phone, bob->number);
}

TEST_F(GroupActs, WhoLeftDoesNothingMore) {
  const auto id = send(*alice, {.body = "one"});
  ASSERT_TRUE(change(*alice, group, GroupAct::kRemove, bob));
  EXPECT_EQ(act(*bob, *id, {.kind = Kind::kReaction, .text = "👍"}).error().code, Code::kForbidden);
}

}  // namespace
}  // namespace godwit::sim
