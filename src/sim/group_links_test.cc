// How people come into a group by a link, and what a server, or a member, that lies gets them to
// believe.
#include "client/group_link.h"
#include "client/rows.h"
#include "crypto/xeddsa.h"
#include "e2e/identity.h"
#include "e2e/sender_key.h"
#include "sim/test_group_world.h"

namespace godwit::sim {
namespace {

using Act = Engine::GroupAct;
using Texts = std::vector<std::string>;
using client::GroupRefused;

class GroupLinks : public GroupWorld {
 protected:
  std::string link(Phone& by, GroupId id, client::LinkTerms terms) {
    EXPECT_TRUE(run(by, [&](Engine& e, Env& at, client::Effects& out) {
      return e.make_group_link(id, terms, at, out);
    }));
    const auto made = view(by, id).link;
    EXPECT_TRUE(made && !made->text.empty());
    return made ? made->text : std::string();
  }
  Result<GroupId> join(Phone& who, const std::string& text) {
    return run(
        who, [&](Engine& e, Env& at, client::Effects& out) { return e.join_group(text, at, out); });
  }
  Result<void> answer(Phone& by, GroupId id, Phone& whom, bool let_in) {
    return run(by, [&](Engine& e, Env& at, client::Effects& out) {
      return e.answer_pending(id, whom.engine->profile().user, let_in, at, out);
    });
  }
  std::string failure(const Phone& phone) {
    const auto done = events<client::GroupChangeDone>(phone);
    return done.empty() ? "nothing was said" : done.back().failure;
  }
};

TEST_F(GroupLinks, WhoHasTheLinkComesInAndReadsWhatFollows) {
  Phone &alice = enroll(1), &bob = enroll(2), &carol = enroll(3);
  const GroupId id = create(alice, "Birds", {&bob});
  ASSERT_TRUE(say(alice, id, "before"));
  const std::string text = link(alice, id, {});
  EXPECT_TRUE(view(bob, id).link);
  EXPECT_EQ(view(bob, id).link->text, "") << "it is hers to give away";
  ASSERT_TRUE(join(carol, "  " + text + "\n"));
  EXPECT_EQ(failure(carol), "");
  EXPECT_EQ(view(carol, id).name, "Birds");
  expect_agreement(id, {&alice, &bob, &carol});
  for (Phone* phone : {&alice, &bob, &carol}) ASSERT_TRUE(say(*phone, id, phone->number));
  EXPECT_EQ(shown(carol, id), (Texts{alice.number, bob.number}));
  EXPECT_EQ(shown(bob, id), (Texts{"before", alice.number, carol.number}));
  EXPECT_EQ(join(carol, text).error().code, Code::kConflict);
}

TEST_F(GroupLinks, AnAdminLetsInOrDeclines) {
  Phone &alice = enroll(1), &bob = enroll(2), &carol = enroll(3), &dora = enroll(4);
  const GroupId id = create(alice, "Birds", {&bob});
  const std::string text = link(alice, id, {.approval = true});
  ASSERT_TRUE(join(carol, text));
  ASSERT_TRUE(join(dora, text));
  EXPECT_TRUE(view(carol, id).waits);
  EXPECT_FALSE(view(carol, id).member);
  EXPECT_EQ(view(alice, id).pending.size(), 2u);
  ASSERT_TRUE(say(alice, id, "not for them"));
  EXPECT_TRUE(answer(bob, id, carol, true));
  EXPECT_EQ(view(alice, id).pending.size(), 2u) << "only an admin does";
  restart(carol);
  ASSERT_TRUE(answer(alice, id, carol, true));
  ASSERT_TRUE(answer(alice, id, dora, false));
  pass(minutes(2));
  ASSERT_TRUE(say(bob, id, "welcome"));
  expect_agreement(id, {&alice, &bob, &carol});
  EXPECT_EQ(shown(carol, id), (Texts{"welcome"}));
  EXPECT_TRUE(shown(dora, id).empty());
  EXPECT_FALSE(view(dora, id).member);
  ASSERT_TRUE(change(dora, id, Act::kLeave, nullptr));
  EXPECT_EQ(view(dora, id).id, GroupId{}) << "who does not want to wait any more is done with it";
}

// Who they are is said with the request, and believed when the directory agrees.
TEST_F(GroupLinks, NumbersOfThoseWhoNeverWroteAreKnown) {
  Phone &alice = enroll(1), &bob = enroll(2), &carol = enroll(3), &dora = enroll(4);
  const GroupId id = create(alice, "Birds", {&bob, &carol});
  const auto number = [&](Phone& of, Phone& to) {
    const auto seen = view(to, id);
    for (const auto* list : {&seen.members, &seen.pending}) {
      for (const auto& member : *list) {
        if (member.user == of.engine->profile().user) return member.phone;
      }
    }
    return std::string("nobody");
  };
  EXPECT_EQ(number(carol, bob), carol.number);
  EXPECT_EQ(number(alice, carol), alice.number);
  ASSERT_TRUE(join(dora, link(alice, id, {.approval = true})));
  EXPECT_EQ(number(dora, alice), dora.number);
  EXPECT_EQ(number(dora, bob), "") << "none of his business yet";
  ASSERT_TRUE(answer(alice, id, dora, true));
  EXPECT_EQ(number(dora, bob), dora.number);
  EXPECT_EQ(number(bob, dora), bob.number);
}

TEST_F(GroupLinks, ALinkEndsWhenItIsUsedUpOldOrTakenBack) {
  Phone &alice = enroll(1), &bob = enroll(2), &carol = enroll(3);
  const GroupId id = create(alice, "Birds", {});
  const std::string once = link(alice, id, {.uses = 1});
  ASSERT_TRUE(join(bob, once));
  EXPECT_TRUE(view(bob, id).member);
  ASSERT_TRUE(join(carol, once));
  EXPECT_EQ(failure(carol), "the link is used up: ask for another");
  const std::string brief = link(alice, id, {.lifetime = hours(1)});
  pass(hours(1) + minutes(1));
  ASSERT_TRUE(join(carol, brief));
  EXPECT_EQ(failure(carol), "the link has expired: ask for another");
  const std::string replaced = link(alice, id, {});
  const std::string last = link(alice, id, {});
  ASSERT_TRUE(join(carol, replaced));
  EXPECT_EQ(failure(carol), "there is a new link instead of this one: ask for it");
  EXPECT_TRUE(run(alice, [&](Engine& e, Env& at, client::Effects& out) {
    return e.revoke_group_link(id, at, out);
  }));
  EXPECT_FALSE(view(alice, id).link);
  ASSERT_TRUE(join(carol, last));
  EXPECT_EQ(failure(carol), "the link was taken back: ask for another");
  EXPECT_TRUE(carol.engine->groups().empty());
  for (const std::string& text : {std::string(), std::string("godwit:join/00"),
                                  std::string("hello"), last + "a", last.substr(0, 190)}) {
    EXPECT_EQ(join(carol, text).error().code, Code::kInvalid);
  }
}

TEST_F(GroupLinks, WhatAGroupSaysOfItselfIsChangedByWhoMay) {
  Phone &alice = enroll(1), &bob = enroll(2);
  const GroupId id = create(alice, "Birds", {&bob});
  const auto edit = [&](Phone& by, client::GroupEdit what) {
    return run(by, [&](Engine& e, Env& at, client::Effects& out) {
      return e.edit_group(id, what, at, out);
    });
  };
  const Bytes picture = to_bytes("\x89PNG\r\n\x1a\n and more");
  ASSERT_TRUE(edit(alice, {.description = "They fly", .picture = picture}));
  EXPECT_EQ(view(bob, id).description, "They fly");
  EXPECT_EQ(view(bob, id).picture, picture);
  EXPECT_EQ(view(bob, id).name, "Birds");
  EXPECT_EQ(edit(alice, {.picture = to_bytes("#!/bin/sh")}).error().code, Code::kInvalid);
  EXPECT_EQ(edit(alice, {.picture = Bytes(limits::kGroupPicture + 1, 0xFF)}).error().code,
            Code::kTooLarge);
  EXPECT_EQ(edit(bob, {.name = "Bob's"}).error().code, Code::kForbidden);
  EXPECT_TRUE(run(alice, [&](Engine& e, Env& at, client::Effects& out) {
    return e.set_group_rules(id, {.all_edit = true}, at, out);
  }));
  EXPECT_TRUE(view(bob, id).all_edit);
  ASSERT_TRUE(edit(bob, {.name = "Flyers", .picture = Bytes{}}));
  EXPECT_EQ(view(alice, id).name, "Flyers");
  EXPECT_EQ(view(alice, id).description, "They fly");
  EXPECT_TRUE(view(alice, id).picture.empty());
}

// ---- who lies

class GroupLies : public GroupLinks {
 protected:
  // What the server does with each envelope that it delivers.
  void alter(std::function<void(proto::Envelope&)> how) {
    from_server = [how](proto::Frame& frame) {
      auto deliver = decode<proto::Deliver>(frame.body);
      if (frame.kind != proto::Kind::kDeliver || !deliver) return true;
      for (auto& delivery : deliver->deliveries) how(delivery.envelope);
      frame.body = encode(*deliver);
      return true;
    };
  }
  e2e::LocalIdentity identity_of(Phone& phone) {
    const auto rows = phone.store.scan({Engine::partition(), ports::Space::kProfile, {'I'}, {'J'}});
    return *e2e::LocalIdentity::parse(rows->front().value);
  }
  // A change as a program without scruples signs it, for the state after `like`.
  Bytes forge(const Bytes& like, Phone& actor, std::vector<proto::GroupChange> changes) {
    auto change = *decode<proto::SignedTransition>(like);
    auto transition = *decode<proto::Transition>(change.body);
    transition.actor = actor.engine->profile().user;
    transition.changes = std::move(changes);
    change.body = encode(transition);
    SeededEntropy forger(9);
    change.signature = identity_of(actor).sign(proto::signed_octets(change.body), forger);
    return encode(change);
  }
};

// Carol says that she has Dora's number; to Alice's client this looks the same.
TEST_F(GroupLies, ANumberThatTheDirectoryGivesToAnotherIsNotShown) {
  Phone &alice = enroll(1), &carol = enroll(3), &dora = enroll(4);
  const GroupId id = create(alice, "Birds", {});
  const std::string text = link(alice, id, {.approval = true});
  const Bytes hers = encode(proto::LookedUp{carol.engine->profile().user});
  std::size_t asked = 0;
  from_server = [&](proto::Frame& frame) {
    if (frame.kind != proto::Kind::kOk || frame.body != hers) return true;
    frame.body = encode(proto::LookedUp{dora.engine->profile().user});
    ++asked;
    return true;
  };
  ASSERT_TRUE(join(carol, text));
  pass(minutes(5));
  restart(carol);
  ASSERT_EQ(view(alice, id).pending.size(), 1u);
  EXPECT_EQ(view(alice, id).pending[0].phone, "");
  EXPECT_EQ(asked, 1u) << "and nobody asks again and again";
  EXPECT_EQ(alice.engine->contact(dora.engine->profile().user), nullptr);
}

TEST_F(GroupLies, AMessageInAnotherMembersNameIsNotShown) {
  Phone &alice = enroll(1), &bob = enroll(2), &carol = enroll(3);
  const GroupId id = create(alice, "Birds", {&bob, &carol});
  for (Phone* phone : {&alice, &bob, &carol}) ASSERT_TRUE(say(*phone, id, "hello"));
  alter([&](proto::Envelope& envelope) {
    if (envelope.type != proto::CiphertextType::kSenderKey) return;
    if (envelope.from == bob.engine->profile().user) envelope.from = carol.engine->profile().user;
  });
  const auto before = shown(alice, id);
  ASSERT_TRUE(say(bob, id, "I am Carol"));
  pass(minutes(5));
  EXPECT_EQ(shown(alice, id), before);
  EXPECT_EQ(alice.engine->counters().undecryptable, 1u);
}

// A member who is no admin, with the server's help.
TEST_F(GroupLies, AMemberCannotTakeTheGroupOver) {
  Phone &alice = enroll(1), &bob = enroll(2), &carol = enroll(3);
  const GroupId id = create(alice, "Birds", {&bob, &carol});
  const UserId self = bob.engine->profile().user;
  alter([&](proto::Envelope& envelope) {
    if (envelope.type != proto::CiphertextType::kGroupChange) return;
    envelope.ciphertext = forge(envelope.ciphertext, bob,
                                {{.kind = proto::GroupChange::Kind::kPromote, .user = self}});
    envelope.from = self;
  });
  const auto before = view(carol, id);
  EXPECT_TRUE(run(alice, [&](Engine& e, Env& at, client::Effects& out) {
    return e.set_group_rules(id, {.announcements = true}, at, out);
  }));
  EXPECT_EQ(view(carol, id).digest, before.digest);
  EXPECT_FALSE(events<GroupRefused>(carol).empty());
}

// Old changes, which were signed once, bring nobody back.
TEST_F(GroupLies, MembershipIsNotRolledBack) {
  Phone &alice = enroll(1), &bob = enroll(2), &carol = enroll(3);
  std::vector<Bytes> changes;
  alter([&](proto::Envelope& envelope) {
    if (envelope.type == proto::CiphertextType::kGroupChange)
      changes.push_back(envelope.ciphertext);
  });
  const GroupId id = create(alice, "Birds", {&bob, &carol});
  ASSERT_TRUE(change(alice, id, Act::kRemove, &carol));
  const auto before = view(bob, id);
  for (const Bytes& old : std::vector(changes)) {
    alter([&](proto::Envelope& envelope) {
      if (envelope.type == proto::CiphertextType::kSenderKey) {
        envelope.type = proto::CiphertextType::kGroupChange;
        envelope.ciphertext = old;
      }
    });
    ASSERT_TRUE(say(alice, id, "what the server replaces"));
  }
  EXPECT_EQ(view(bob, id).digest, before.digest);
  EXPECT_EQ(view(bob, id).members.size(), 2u);
}

TEST_F(GroupLies, AHistoryOfTheServersOwnMakingIsRefused) {
  Phone &alice = enroll(1), &bob = enroll(2), &carol = enroll(3);
  const GroupId id = create(alice, "Birds", {&bob});
  const std::string text = link(alice, id, {});
  from_server = [&](proto::Frame& frame) {
    auto history = decode<proto::GroupHistory>(frame.body);
    if (frame.kind != proto::Kind::kOk || !history || history->transitions.empty()) return true;
    // Without the last ones, and with an older head: as it was before somebody was removed.
    auto base = *decode<proto::GroupState>(history->base);
    base.info = {1};
    history->base = encode(base);
    frame.body = encode(*history);
    return true;
  };
  ASSERT_TRUE(join(carol, text));
  EXPECT_FALSE(view(carol, id).member);
  EXPECT_FALSE(events<GroupRefused>(carol).empty());
}

// Another device registers as Bob, as a server can always make it: it is no member, until an admin
// says so.
TEST_F(GroupLies, WhoTakesAMembersPlaceIsToldNothing) {
  Phone &alice = enroll(1), &bob = enroll(2), &carol = enroll(3);
  const GroupId id = create(alice, "Birds", {&bob, &carol});
  for (Phone* phone : {&alice, &bob, &carol}) ASSERT_TRUE(say(*phone, id, "hello"));
  Phone& other = enroll(9, bob.number);
  ASSERT_TRUE(say(alice, id, "to Bob"));
  ASSERT_TRUE(say(carol, id, "to him, too"));
  pass(hours(1));
  EXPECT_TRUE(shown(other, id).empty());
  EXPECT_EQ(view(other, id).version, 0u);
  EXPECT_GE(other.engine->counters().requested, 2u) << "they asked";
  ASSERT_TRUE(change(alice, id, Act::kAdd, &other));
  pass(minutes(2));
  ASSERT_TRUE(say(carol, id, "welcome"));
  pass(minutes(2));
  EXPECT_EQ(shown(other, id), (Texts{"welcome"}));
}

// Somebody who was removed, with the server's help: their voice ends with their membership.
TEST_F(GroupLies, WhoWasRemovedIsNotHeardAgain) {
  Phone &alice = enroll(1), &bob = enroll(2), &carol = enroll(3);
  const GroupId id = create(alice, "Birds", {&bob, &carol});
  ASSERT_TRUE(say(carol, id, "hello"));
  // Her program speaks on, with the chain that all still have.
  const auto rows = carol.store.scan({Engine::partition(), ports::Space::kChat,
                                      client::row_key('G', id), client::row_key('H', id)});
  auto chain = *e2e::SenderKey::parse(decode<client::GroupRow>(rows->front().value)->own_key);
  const client::Content content{.id = MessageId{{7}},
                                .composed = Instant{1'000'000'000},
                                .stream = 1,
                                .number = 99,
                                .group = id,
                                .text = client::Text{.body = "I am back"},
                                .group_version = view(carol, id).version};
  SeededEntropy hers(3);
  const Bytes late = *chain.encrypt(client::seal_content(content), hers);
  ASSERT_TRUE(change(alice, id, Act::kRemove, &carol));
  alter([&](proto::Envelope& envelope) {
    if (envelope.type != proto::CiphertextType::kSenderKey) return;
    envelope.from = carol.engine->profile().user;
    envelope.ciphertext = late;
  });
  ASSERT_TRUE(say(alice, id, "she is gone"));
  EXPECT_EQ(shown(bob, id), (Texts{"hello"}));
}

}  // namespace
}  // namespace godwit::sim
