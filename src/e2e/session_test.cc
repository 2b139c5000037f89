#include "e2e/session.h"

#include <gtest/gtest.h>

#include <set>

#include "base/limits.h"
#include "e2e/test_peer.h"

namespace godwit::e2e {
namespace {

struct Couple {
  Peer alice{1}, bob{2};

  // Until both sides have read something: no more prekey messages.
  void meet() {
    ASSERT_TRUE(alice.start(bob.bundle()));
    ASSERT_EQ(outcome(bob.read(alice.send("hello"))), "hello");
    ASSERT_EQ(outcome(alice.read(bob.send("hi"))), "hi");
  }
};

TEST(Session, FirstMessagesCarryThePrekeysUntilAnswered) {
  Couple c;
  ASSERT_TRUE(c.alice.start(c.bob.bundle()));
  const auto one = c.alice.send("one"), two = c.alice.send("two");
  EXPECT_EQ(one.type, MessageType::kPrekey);
  const auto first = c.bob.read(one);
  ASSERT_TRUE(first);
  EXPECT_TRUE(first->new_session);
  EXPECT_EQ(first->consumed_prekey, OneTimePrekeyId{1});
  EXPECT_EQ(first->sender, c.alice.own.public_key());
  const auto second = c.bob.read(two);
  ASSERT_TRUE(second);
  EXPECT_FALSE(second->new_session);
  EXPECT_FALSE(second->consumed_prekey);

  const auto answer = c.bob.send("answer");
  EXPECT_EQ(answer.type, MessageType::kWhisper);
  ASSERT_TRUE(c.alice.read(answer));
  EXPECT_EQ(c.alice.send("three").type, MessageType::kWhisper);
  EXPECT_EQ(c.bob.load().remote_identity(), c.alice.own.public_key());
  EXPECT_EQ(c.bob.load().remote_registration_id(), c.alice.own.registration_id);
}

TEST(Session, WorksWithoutOneTimePrekeys) {
  Couple c;
  c.bob.prekeys.one_time_prekeys.clear();
  c.meet();
}

TEST(Session, EmptyTextAndLongText) {
  Couple c;
  c.meet();
  for (const std::size_t size : {0u, 15u, 16u, 17u, 65536u}) {
    const std::string text(size, 'x');
    EXPECT_EQ(outcome(c.bob.read(c.alice.send(text))), text);
  }
}

// Both sides talk at random over a line that reorders, duplicates and loses: what arrives is read
// exactly once, and a repetition is told apart.
TEST(Session, LossReorderingAndDuplicates) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    SCOPED_TRACE(seed);
    Couple c;
    ASSERT_TRUE(c.alice.start(c.bob.bundle()));
    SeededEntropy chance(seed);
    struct InFlight {
      Encrypted encrypted;
      std::string text;
    };
    std::vector<InFlight> to_bob, to_alice;
    std::set<std::string> read;
    bool bob_may_send = false;
    for (int step = 0; step < 200; ++step) {
      const bool to_alice_now = chance.below(2) == 0;
      auto& line = to_alice_now ? to_alice : to_bob;
      Peer& receiver = to_alice_now ? c.alice : c.bob;
      if (chance.below(2) == 0 && (!to_alice_now || bob_may_send)) {
        const std::string text = std::to_string(step);
        line.push_back({(to_alice_now ? c.bob : c.alice).send(text), text});
      } else if (!line.empty()) {
        const auto at = line.begin() + static_cast<std::ptrdiff_t>(chance.below(line.size()));
        const std::string got = outcome(receiver.read(at->encrypted));
        EXPECT_EQ(got, read.contains(at->text) ? "duplicate" : at->text);
        read.insert(at->text);
        bob_may_send |= !to_alice_now;
        if (chance.below(4) != 0) line.erase(at);  // else it comes again
      }
      if (!line.empty() && chance.below(10) == 0) line.erase(line.begin());  // lost
      // Older than five ratchet steps is out of reach by design: keep the lines short.
      if (line.size() > 4) line.erase(line.begin());
    }
    EXPECT_GT(read.size(), 30u);
  }
}

TEST(Session, ForgedPrekeyMessagesChangeNothing) {
  Couple c;
  ASSERT_TRUE(c.alice.start(c.bob.bundle()));
  const auto good = c.alice.send("hello");
  const auto step = [&](std::size_t i) {  // most of it is one KEM ciphertext
    return i > 400 && i + 100 < good.message.size() ? 17 : 1;
  };
  for (std::size_t i = 0; i < good.message.size(); i += step(i)) {
    for (const int flip : {0x01, 0x80}) {
      auto forged = good.message;
      forged[i] = static_cast<std::uint8_t>(forged[i] ^ flip);
      const auto got = c.bob.read(good.type, forged);  // checks that the record stays
      EXPECT_EQ(c.bob.prekeys.one_time_prekeys.size(), got ? 0u : 1u);
      // Only what nobody authenticates may differ: the low half of the outer version and the
      // registration id.
      if (got) {
        EXPECT_EQ(outcome(got), "hello");
        c.bob.record = {};
        c.bob.prekeys = {};
        Peer again{2};
        c.bob.prekeys = std::move(again.prekeys);
      }
    }
  }
  for (std::size_t size = 0; size < good.message.size(); ++size) {
    EXPECT_FALSE(c.bob.read(good.type, ByteView(good.message).first(size)));
  }
  EXPECT_EQ(outcome(c.bob.read(good)), "hello");
}

TEST(Session, ForgedMessagesChangeNothing) {
  Couple c;
  c.meet();
  const auto good = c.alice.send("text");
  for (std::size_t i = 0; i < good.message.size(); ++i) {
    for (const int flip : {0x01, 0x80}) {
      auto forged = good.message;
      forged[i] = static_cast<std::uint8_t>(forged[i] ^ flip);
      EXPECT_FALSE(c.bob.read(good.type, forged)) << i;
    }
  }
  for (std::size_t size = 0; size < good.message.size(); ++size) {
    EXPECT_FALSE(c.bob.read(good.type, ByteView(good.message).first(size)));
  }
  EXPECT_FALSE(c.alice.read(good)) << "a reflection";
  EXPECT_EQ(outcome(c.bob.read(good)), "text");
}

TEST(Session, ReplayedPrekeyMessage) {
  Couple c;
  ASSERT_TRUE(c.alice.start(c.bob.bundle()));
  const auto first = c.alice.send("hello");
  ASSERT_TRUE(c.bob.read(first));
  EXPECT_EQ(outcome(c.bob.read(first)), "duplicate");
  ASSERT_TRUE(c.alice.read(c.bob.send("hi")));
  ASSERT_TRUE(c.bob.read(c.alice.send("how are you")));
  EXPECT_EQ(outcome(c.bob.read(first)), "duplicate");
  // Even when Bob has lost the session: the one-time prekey is gone.
  c.bob.record = {};
  EXPECT_EQ(outcome(c.bob.read(first)), "not_found");
}

TEST(Session, SimultaneousStartConverges) {
  Couple c;
  ASSERT_TRUE(c.alice.start(c.bob.bundle()));
  ASSERT_TRUE(c.bob.start(c.alice.bundle()));
  const auto from_alice = c.alice.send("from alice"), from_bob = c.bob.send("from bob");
  const auto late = c.bob.send("late");
  EXPECT_EQ(outcome(c.alice.read(from_bob)), "from bob");
  EXPECT_EQ(outcome(c.bob.read(from_alice)), "from alice");
  // Each now sends in the session that the other started; one answer settles it.
  EXPECT_EQ(outcome(c.alice.read(c.bob.send("b2"))), "b2");
  EXPECT_EQ(outcome(c.bob.read(c.alice.send("a2"))), "a2");
  EXPECT_EQ(outcome(c.alice.read(c.bob.send("b3"))), "b3");
  EXPECT_EQ(outcome(c.alice.read(late)), "late") << "the other session still decrypts";
  EXPECT_EQ(outcome(c.bob.read(c.alice.send("a3"))), "a3");
  EXPECT_EQ(outcome(c.alice.read(c.bob.send("b4"))), "b4");
  EXPECT_EQ(c.alice.send("a4").type, MessageType::kWhisper);
  EXPECT_EQ(c.bob.send("b5").type, MessageType::kWhisper);
}

TEST(Session, ArchivedSessionsStillDecrypt) {
  Couple c;
  c.meet();
  const auto late = c.alice.send("late");
  c.bob.add_one_time(2);
  ASSERT_TRUE(c.alice.start(c.bob.bundle()));
  EXPECT_EQ(outcome(c.bob.read(c.alice.send("new"))), "new");
  EXPECT_EQ(outcome(c.bob.read(late)), "late");
  // Reading the late one made the old session current; the next message of the new one undoes it.
  EXPECT_EQ(outcome(c.bob.read(c.alice.send("again"))), "again");
  EXPECT_EQ(outcome(c.alice.read(c.bob.send("ok"))), "ok");
}

TEST(Session, ArchiveIsBounded) {
  Couple c;
  c.meet();
  const auto old = c.alice.send("old");
  for (std::size_t i = 0; i < limits::kArchivedSessions; ++i) {
    ASSERT_TRUE(c.bob.start(c.alice.bundle()));
  }
  const auto full = c.bob.record.clone();
  EXPECT_EQ(outcome(c.bob.read(old)), "old");
  c.bob.record = full.clone();
  ASSERT_TRUE(c.bob.start(c.alice.bundle()));
  EXPECT_EQ(outcome(c.bob.read(old)), "corrupt") << "forty-one is one too many";
}

TEST(Session, RecordIsBounded) {
  Couple c;
  c.meet();
  for (int session = 0; session < 4; ++session) {  // each with five chains of 2000 lost messages
    c.bob.add_one_time(10 + static_cast<std::uint32_t>(session));
    ASSERT_TRUE(c.alice.start(c.bob.bundle()));
    for (int chain = 0; chain < 5; ++chain) {
      for (int lost = 0; lost < 2000; ++lost) c.alice.send("");
      ASSERT_EQ(outcome(c.bob.read(c.alice.send("x"))), "x");
      ASSERT_EQ(outcome(c.alice.read(c.bob.send("y"))), "y");
    }
  }
  EXPECT_GT(c.bob.record.size(), limits::kMaxSessionRecord / 2);
  EXPECT_LE(c.bob.record.size(), limits::kMaxSessionRecord);
  EXPECT_TRUE(Session::parse(c.bob.record.view()));
}

TEST(Session, SkippedMessagesAreBounded) {
  Couple c;
  c.meet();
  std::vector<Encrypted> skipped;
  for (int i = 0; i < 2099; ++i) skipped.push_back(c.alice.send(std::to_string(i)));
  ASSERT_EQ(outcome(c.bob.read(c.alice.send("last"))), "last");
  EXPECT_EQ(outcome(c.bob.read(skipped[98])), "duplicate") << "its seed is gone";
  EXPECT_EQ(outcome(c.bob.read(skipped[99])), "99");
  EXPECT_EQ(outcome(c.bob.read(skipped[2098])), "2098");
  EXPECT_EQ(outcome(c.bob.read(skipped[99])), "duplicate");
}

// What `sender` writes after as many lost messages as may be lost, and after one more.
std::pair<Encrypted, Encrypted> at_limit_and_beyond(Peer& sender) {
  Session session = sender.load();
  auto env = sender.env();
  const auto send = [&] { return *encrypt(session, sender.own, view_of("x"), env); };
  for (std::uint32_t i = 1; i < limits::kForwardJump; ++i) send();
  auto at_limit = send();
  return {std::move(at_limit), send()};
}

TEST(Session, ForwardJumpIsBounded) {
  Couple c;
  c.meet();
  const auto [at_limit, beyond] = at_limit_and_beyond(c.alice);
  EXPECT_EQ(outcome(c.bob.read(beyond)), "corrupt");
  EXPECT_EQ(outcome(c.bob.read(at_limit)), "x");
  EXPECT_EQ(outcome(c.bob.read(beyond)), "x");
}

TEST(Session, OwnDevicesMayLoseMore) {
  Couple c;
  c.bob.own.keys = c.alice.own.keys.clone();
  c.bob.add_signed(SignedPrekey::make({22}, c.bob.own, c.bob.entropy));
  c.bob.add_kyber(900);
  c.meet();
  const auto [at_limit, beyond] = at_limit_and_beyond(c.alice);
  EXPECT_EQ(outcome(c.bob.read(beyond)), "x");
  EXPECT_EQ(outcome(c.bob.read(at_limit)), "x");
  EXPECT_EQ(outcome(c.bob.read(beyond)), "duplicate");
}

TEST(Session, FiveRatchetStepsBehindStillDecrypts) {
  Couple c;
  c.meet();
  std::vector<Encrypted> late;
  for (int step = 0; step < 6; ++step) {
    late.push_back(c.alice.send("late " + std::to_string(step)));
    ASSERT_TRUE(c.bob.read(c.alice.send("x")));
    ASSERT_TRUE(c.alice.read(c.bob.send("y")));
  }
  EXPECT_EQ(outcome(c.bob.read(late[0])), "corrupt");
  for (std::size_t i = 1; i < late.size(); ++i) {
    EXPECT_EQ(outcome(c.bob.read(late[i])), "late " + std::to_string(i));
  }
}

TEST(Session, UnansweredSessionsExpire) {
  Couple c;
  ASSERT_TRUE(c.alice.start(c.bob.bundle()));
  Session session = c.alice.load();
  c.alice.now = c.alice.now + limits::kUnacknowledgedSession;
  auto env = c.alice.env();
  EXPECT_TRUE(encrypt(session, c.alice.own, view_of("x"), env));
  env.now = env.now + milliseconds(1);
  const auto before = session.serialize();
  EXPECT_EQ(encrypt(session, c.alice.own, view_of("x"), env).error().code, Code::kExpired);
  EXPECT_TRUE(same(before.view(), session.serialize().view()));
}

TEST(Session, NoSession) {
  Couple c;
  Session session;
  auto env = c.alice.env();
  EXPECT_EQ(encrypt(session, c.alice.own, {}, env).error().code, Code::kNotFound);
  c.meet();
  session = c.alice.load();
  session.archive_current();
  EXPECT_FALSE(session.has_current());
  EXPECT_EQ(encrypt(session, c.alice.own, {}, env).error().code, Code::kNotFound);
  c.alice.record = session.serialize();
  EXPECT_EQ(outcome(c.alice.read(c.bob.send("still there"))), "still there");
  EXPECT_TRUE(c.alice.load().has_current());
}

TEST(Session, AnotherIdentityIsRefusedUntilAccepted) {
  Couple c;
  Peer mallory{3};
  const PublicKey pinned = mallory.own.public_key();
  Session session;
  auto env = c.alice.env();
  EXPECT_EQ(start_session(session, c.alice.own, c.bob.bundle(), &pinned, env).error().code,
            Code::kForbidden);
  EXPECT_FALSE(session.has_current());

  ASSERT_TRUE(c.alice.start(c.bob.bundle()));
  const auto hello = c.alice.send("hello");
  EXPECT_EQ(outcome(c.bob.read(hello.type, hello.message, &pinned)), "forbidden");
  EXPECT_EQ(c.bob.prekeys.one_time_prekeys.size(), 1u);
  const PublicKey accepted = c.alice.own.public_key();
  EXPECT_EQ(outcome(c.bob.read(hello.type, hello.message, &accepted)), "hello");

  ASSERT_TRUE(c.alice.read(c.bob.send("hi")));
  const auto next = c.alice.send("next");
  EXPECT_EQ(outcome(c.bob.read(next.type, next.message, &pinned)), "forbidden");
  EXPECT_EQ(outcome(c.bob.read(next)), "next");
}

TEST(Session, UnknownPrekeys) {
  Couple c;
  ASSERT_TRUE(c.alice.start(c.bob.bundle()));
  const auto hello = c.alice.send("hello");
  auto kept = std::move(c.bob.prekeys);
  c.bob.prekeys = {};
  EXPECT_EQ(outcome(c.bob.read(hello)), "not_found");
  c.bob.prekeys = std::move(kept);
  EXPECT_EQ(outcome(c.bob.read(hello)), "hello");
}

TEST(Session, BundlesMustVerify) {
  Couple c;
  const auto refused = [&](const PrekeyBundle& bundle) {
    const auto started = c.alice.start(bundle);
    return !started && started.error().code == Code::kCorrupt && c.alice.record.empty();
  };
  PrekeyBundle bundle = c.bob.bundle();
  bundle.signed_prekey_signature[10] ^= 1;
  EXPECT_TRUE(refused(bundle));
  bundle = c.bob.bundle();
  bundle.signed_prekey = c.alice.own.public_key();
  EXPECT_TRUE(refused(bundle));
  bundle = c.bob.bundle();
  bundle.one_time_prekey->key = {};  // a point of small order
  EXPECT_TRUE(refused(bundle));
  bundle = c.bob.bundle();
  bundle.kyber_prekey->signature[10] ^= 1;
  EXPECT_TRUE(refused(bundle));
  bundle = c.bob.bundle();
  bundle.kyber_prekey->key.key[0] ^= 1;
  EXPECT_TRUE(refused(bundle));
  EXPECT_TRUE(c.alice.start(c.bob.bundle()));
}

TEST(Session, OtherVersionsAreNamed) {
  Couple c;
  c.meet();
  auto message = c.alice.send("x");
  message.message[0] = 0x34;
  EXPECT_EQ(outcome(c.bob.read(message)), "unsupported");
  EXPECT_EQ(outcome(c.bob.read(MessageType::kPrekey, message.message)), "unsupported");
  EXPECT_EQ(outcome(c.bob.read(static_cast<MessageType>(7), message.message)), "unsupported");
}

// Whatever the store returns, parsing ends in a value or an error.
TEST(Session, DamagedRecords) {
  Couple c;
  c.meet();
  c.alice.send("x");
  const Bytes good = to_bytes(c.alice.record.view());
  for (std::size_t size = 1; size < good.size(); ++size) {
    EXPECT_FALSE(Session::parse(ByteView(good).first(size))) << size;
  }
  SeededEntropy chance(9);
  for (int i = 0; i < 2000; ++i) {
    Bytes damaged = good;
    for (int k = 0; k < 3; ++k) {
      const auto at = static_cast<std::size_t>(chance.below(damaged.size()));
      damaged[at] = static_cast<std::uint8_t>(chance.next());
    }
    auto session = Session::parse(damaged);
    if (!session) continue;
    EXPECT_TRUE(Session::parse(session->serialize().view()));
  }
  EXPECT_EQ(Session::parse(Bytes(limits::kMaxSessionRecord + 1)).error().code, Code::kTooLarge);
  EXPECT_FALSE(Session::parse({})->has_current());
}

TEST(Session, NoRecordHoldsHalfOfAFirstMessage) {
  SessionState state;
  state.unacknowledged.emplace().kyber_prekey_id.emplace();
  Bytes record = to_bytes(state.serialize().view());
  ASSERT_EQ(record.back(), 0);  // the ciphertext's length
  record.resize(record.size() - 3);
  EXPECT_FALSE(SessionState::parse(record));
}

TEST(Session, RecordsAreSmall) {
  Couple c;
  c.meet();
  EXPECT_LT(c.alice.record.size(), 1000u);
  EXPECT_LT(c.bob.record.size(), 1000u);
  for (int i = 0; i < 200; ++i) {  // through two post-quantum epochs
    ASSERT_TRUE(c.bob.read(c.alice.send("x")));
    ASSERT_TRUE(c.alice.read(c.bob.send("y")));
    EXPECT_LT(c.alice.record.size(), 4000u);
    EXPECT_LT(c.bob.record.size(), 4000u);
  }
}

TEST(Session, LastResortPrekeysAreKeptButNotReplayed) {
  Couple c;
  c.bob.prekeys.one_time_prekeys.clear();
  ASSERT_TRUE(c.alice.start(c.bob.bundle()));
  const auto hello = c.alice.send("hello");
  const auto got = c.bob.read(hello);
  ASSERT_TRUE(got);
  EXPECT_EQ(got->kyber_use->prekey, c.bob.prekeys.last_resort);
  EXPECT_EQ(got->kyber_use->signed_prekey, SignedPrekeyId{22});
  EXPECT_EQ(c.bob.prekeys.kyber_prekeys.size(), 1u);
  c.bob.record = {};
  EXPECT_EQ(outcome(c.bob.read(hello)), "duplicate") << "though the session is gone";

  Peer carol{3};
  ASSERT_TRUE(carol.start(c.bob.bundle()));
  EXPECT_EQ(outcome(c.bob.read(carol.send("another session"))), "another session");
}

TEST(Session, OneTimeKyberPrekeysAreConsumed) {
  Couple c;
  c.bob.add_kyber(5);
  ASSERT_TRUE(c.alice.start(c.bob.bundle()));
  const auto hello = c.alice.send("hello");
  const auto got = c.bob.read(hello);
  ASSERT_TRUE(got);
  EXPECT_EQ(got->kyber_use->prekey, KyberPrekeyId{5});
  EXPECT_EQ(c.bob.prekeys.kyber_prekeys.size(), 1u) << "the last resort stays";
  c.bob.record = {};
  EXPECT_EQ(outcome(c.bob.read(hello)), "not_found");
}

TEST(Session, FirstMessagesAreBoundToTheirEnds) {
  const DeviceAddress alice{UserId{{1}}, {1}}, bob{UserId{{2}}, {1}}, other{UserId{{2}}, {2}};
  const auto read_by = [&](const Session& fresh) {
    Couple c;
    c.alice.record = Session(alice, bob).serialize();
    EXPECT_TRUE(c.alice.start(c.bob.bundle()));
    c.bob.record = fresh.serialize();
    return outcome(c.bob.read(c.alice.send("hello")));
  };
  EXPECT_EQ(read_by(Session(bob, alice)), "hello");
  EXPECT_EQ(read_by(Session()), "hello") << "who knows no addresses checks none";
  EXPECT_EQ(read_by(Session(other, alice)), "corrupt");
  EXPECT_EQ(read_by(Session(bob, other)), "corrupt");

  Couple c;  // who is bound still reads those who are not
  c.bob.record = Session(bob, alice).serialize();
  c.meet();
}

// Nothing of the post-quantum part can be left out of a message, or put in from another.
TEST(Session, ThePostQuantumRatchetIsRequired) {
  Couple c;
  c.meet();
  const auto good = c.alice.send("text");
  auto message = WhisperMessage::parse(good.message);
  ASSERT_TRUE(message);
  EXPECT_FALSE(message->pq_ratchet.empty());
  message->pq_ratchet = {};
  const auto stripped =
      encode_whisper(*message, {}, c.alice.own.public_key(), c.bob.own.public_key());
  EXPECT_EQ(outcome(c.bob.read(good.type, stripped)), "corrupt");
  EXPECT_EQ(outcome(c.bob.read(good)), "text");
}

}  // namespace
}  // namespace godwit::e2e
