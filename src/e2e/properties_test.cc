// What the protocols promise, each promise tried by an attacker who has stolen a device's state.
//
// The attacker is real code: a clone of the Session, the keys taken out of it, every 32 octets of a
// stolen record as a key. Each test first shows that he reads what he must be able to read; else
// "he cannot read" would prove nothing.
#include <gtest/gtest.h>

#include <set>

#include "crypto/cbc.h"
#include "crypto/hash.h"
#include "e2e/pqxdh.h"
#include "e2e/record.h"
#include "e2e/sender_key.h"
#include "e2e/test_peer.h"

namespace godwit::e2e {
namespace {

using crypto::Key;

struct Couple {
  Peer alice{1}, bob{2};

  void meet() {
    ASSERT_TRUE(alice.start(bob.bundle()));
    ASSERT_EQ(outcome(bob.read(alice.send("hello"))), "hello");
    ASSERT_EQ(outcome(alice.read(bob.send("hi"))), "hi");
  }
  void round_trip() {
    ASSERT_EQ(outcome(bob.read(alice.send("ping"))), "ping");
    ASSERT_EQ(outcome(alice.read(bob.send("pong"))), "pong");
  }
};

// The current session of a record.
SessionState current_of(ByteView record) {
  SessionState state;
  EXPECT_TRUE(read_record(record, require(1), [&](const Reader::Field& field) {
    if (field.number == 1) state = SessionState::parse(field.bytes).value();
    return true;
  }));
  return state;
}

Session session_of(const SessionState& state) {
  Bytes record;
  put_bytes_field(record, 1, state.serialize().view());
  return Session::parse(record).value();
}

// The SignalMessage inside.
WhisperMessage whisper_of(const Encrypted& encrypted) {
  if (encrypted.type == MessageType::kWhisper) {
    return WhisperMessage::parse(encrypted.message).value();
  }
  return WhisperMessage::parse(PrekeyMessage::parse(encrypted.message).value().whisper).value();
}

// Everything a device has, in the hands of somebody else, who has randomness of his own.
struct Thief {
  explicit Thief(const Peer& victim)
      : own{victim.own.keys.clone(), victim.own.registration_id}, session(victim.load()) {
    for (const auto& [id, prekey] : victim.prekeys.signed_prekeys) {
      prekeys.signed_prekeys[id] = {id, prekey.keys.clone(), prekey.signature};
    }
    for (const auto& [id, prekey] : victim.prekeys.one_time_prekeys) {
      prekeys.one_time_prekeys[id] = {id, prekey.keys.clone()};
    }
    for (const auto& [id, key] : victim.prekeys.kyber_prekeys) {
      prekeys.kyber_prekeys[id] = key.clone();
    }
  }

  // Reads what was sent to the victim, and stays up to date if he can.
  std::string read(const Encrypted& message) {
    Env env{Instant{1000}, entropy};
    return outcome(decrypt(session, own, prekeys, message.type, message.message, nullptr, env));
  }
  // Reads what the victim sends, with the keys that it would send with.
  std::string read_sent(const Encrypted& message) {
    SessionState state = current_of(session.serialize().view());
    const auto wire = whisper_of(message);
    for (int i = 0; i < 100; ++i) {
      const Key seed = state.ratchet.sending_seed();
      const auto pq = state.spqr->send(entropy);
      if (!pq) return "expired";
      const auto keys = MessageKeys::derive(seed, pq->key.view());
      if (!wire.verifies(keys.mac, own.public_key(), state.remote_identity)) continue;
      return to_string(
          crypto::aes_cbc_decrypt(keys.cipher.view(), keys.iv.view(), wire.ciphertext).value());
    }
    return "corrupt";
  }

  SeededEntropy entropy{666};
  LocalIdentity own;
  Prekeys prekeys;
  Session session;
};

// The seed of `message`, which `reader` has not read yet.
Key seed_of(const Peer& reader, const Encrypted& message) {
  SeededEntropy any(1);
  const auto wire = whisper_of(message);
  return std::move(
      current_of(reader.record.view())
          .ratchet.receiving_seed(wire.ratchet.u, wire.counter, limits::kForwardJump, any)
          .value());
}

// Every seed that a record leads to: any 32 octets of it, taken as one or as the key of a chain.
std::set<ByteArray<32>> seeds_within(ByteView record) {
  std::set<ByteArray<32>> out;
  const auto add = [&](const Key& key) { out.insert(*to_array<32>(key.view())); };
  for (std::size_t at = 0; at + 32 <= record.size(); ++at) {
    Key key(record.subspan(at).first<32>());
    add(key);
    for (int i = 0; i < 12; ++i) {
      add(crypto::hmac_sha256(key.view(), ByteArray<1>{1}));
      key = crypto::hmac_sha256(key.view(), ByteArray<1>{2});
    }
  }
  return out;
}
bool has(const std::set<ByteArray<32>>& seeds, const Key& seed) {
  return seeds.contains(*to_array<32>(seed.view()));
}

// ---- forward secrecy

TEST(ForwardSecrecy, AStolenStateReadsNothingThatWasRead) {
  Couple c;
  c.meet();
  struct Past {
    Encrypted message;
    Key seed;
  };
  std::vector<Past> past;
  for (int i = 0; i < 8; ++i) {
    auto message = c.alice.send(std::to_string(i));
    Key seed = seed_of(c.bob, message);
    if (i == 3) {
      EXPECT_TRUE(has(seeds_within(c.bob.record.view()), seed)) << "before it is read";
    }
    ASSERT_TRUE(c.bob.read(message));
    past.push_back({std::move(message), std::move(seed)});
    if (i % 4 == 3) c.round_trip();
  }
  Thief at_bob(c.bob);
  const auto bob_keeps = seeds_within(c.bob.record.view());
  const auto alice_keeps = seeds_within(c.alice.record.view());
  for (const auto& [message, seed] : past) {
    EXPECT_EQ(at_bob.read(message), "duplicate");
    EXPECT_FALSE(has(bob_keeps, seed));
    EXPECT_FALSE(has(alice_keeps, seed));
    EXPECT_EQ(Thief(c.alice).read_sent(message), "corrupt");
  }
}

TEST(ForwardSecrecy, SkippedKeysReadTheUnreadOnly) {
  Couple c;
  c.meet();
  std::vector<Encrypted> sent;
  std::vector<Key> seeds;
  for (int i = 0; i < 10; ++i) sent.push_back(c.alice.send(std::to_string(i)));
  for (const auto& message : sent) seeds.push_back(seed_of(c.bob, message));
  std::set<std::size_t> read;
  for (const std::size_t i : {9, 0, 4, 7}) {
    ASSERT_TRUE(c.bob.read(sent[i]));
    read.insert(i);
    Thief thief(c.bob);
    const auto kept = seeds_within(c.bob.record.view());
    for (std::size_t k = 0; k < sent.size(); ++k) {
      EXPECT_EQ(thief.read(sent[k]), read.contains(k) ? "duplicate" : std::to_string(k)) << i;
      EXPECT_EQ(has(kept, seeds[k]), !read.contains(k)) << i << ' ' << k;
    }
  }
}

// The post-quantum half by itself: what it gave is not in the record either.
TEST(ForwardSecrecy, ThePostQuantumKeysAreErasedToo) {
  Couple c;
  c.meet();
  const auto within = [](const Peer& peer, const Key& key) {
    return !std::ranges::search(peer.record.view(), key.view()).empty();
  };
  const auto pq_key = [&](const Encrypted& message) {
    Spqr ratchet = std::move(*current_of(c.bob.record.view()).spqr);
    return ratchet.receive(whisper_of(message).pq_ratchet);
  };
  for (int i = 0; i < 60; ++i) {  // through an epoch, so that all its phases are seen
    SCOPED_TRACE(i);
    const auto first = c.alice.send("1"), second = c.alice.send("2");
    const Key first_key = std::move(pq_key(first).value());
    const Key second_key = std::move(pq_key(second).value());
    ASSERT_TRUE(c.bob.read(second));
    EXPECT_TRUE(within(c.bob, first_key)) << "skipped, and kept for the unread one";
    ASSERT_TRUE(c.bob.read(first));
    for (const Encrypted& message : {first, second}) EXPECT_FALSE(pq_key(message));
    for (const Peer* peer : {&c.alice, &c.bob}) {
      EXPECT_FALSE(within(*peer, first_key) || within(*peer, second_key));
    }
    ASSERT_TRUE(c.alice.read(c.bob.send("y")));
  }
}

// ---- key erasure

TEST(KeyErasure, AConsumedPrekeyOpensNothingAgain) {
  Couple c;
  c.bob.add_kyber(5);  // one to be used once
  ASSERT_TRUE(c.alice.start(c.bob.bundle()));
  const auto first = c.alice.send("hello");
  Thief before(c.bob);
  EXPECT_EQ(before.read(first), "hello") << "the prekeys are all he needs";
  ASSERT_TRUE(c.bob.read(first));
  Thief after(c.bob);
  after.session = Session();
  EXPECT_EQ(after.read(first), "not_found");
  c.bob.record = {};
  EXPECT_EQ(outcome(c.bob.read(first)), "not_found") << "nor does it to its owner";
}

// Each of the two is enough: the message is secret as long as one of its keys is gone.
TEST(KeyErasure, OneErasedPrekeyIsEnough) {
  for (const bool curve : {true, false}) {
    Couple c;
    c.bob.add_kyber(5);
    ASSERT_TRUE(c.alice.start(c.bob.bundle()));
    const auto first = c.alice.send("hello");
    Thief thief(c.bob);
    // In its place a key of the thief's: all that an id without its key can get him.
    if (curve) thief.prekeys.one_time_prekeys[{1}] = OneTimePrekey::make({1}, thief.entropy);
    else {
      thief.prekeys.kyber_prekeys[{5}] =
          KyberPrekey::make({5}, thief.own, thief.entropy).secret_key();
    }
    EXPECT_EQ(thief.read(first), "corrupt") << curve;
    EXPECT_EQ(outcome(c.bob.read(first)), "hello");
  }
}

// Without one-time prekeys a first message is as safe as the signed prekey, until it is replaced.
TEST(KeyErasure, AReplacedSignedPrekeyClosesTheLastResort) {
  Couple c;
  c.bob.prekeys.one_time_prekeys.clear();
  ASSERT_TRUE(c.alice.start(c.bob.bundle()));
  const auto first = c.alice.send("hello");
  ASSERT_TRUE(c.bob.read(first));
  Thief early(c.bob);
  early.session = Session();
  EXPECT_EQ(early.read(first), "hello") << "this is why signed prekeys are replaced";
  c.bob.prekeys.signed_prekeys.clear();
  c.bob.add_signed(SignedPrekey::make({23}, c.bob.own, c.bob.entropy));
  Thief late(c.bob);
  late.session = Session();
  EXPECT_EQ(late.read(first), "not_found");
}

// ---- post-compromise recovery

TEST(Recovery, ARoundTripShutsAThiefOut) {
  Couple c;
  c.meet();
  c.round_trip();
  Thief thief(c.alice);
  const auto a0 = c.alice.send("a0"), b0 = c.bob.send("b0");
  EXPECT_EQ(thief.read_sent(a0), "a0") << "he has it all, for now";
  EXPECT_EQ(thief.read(b0), "b0");
  ASSERT_TRUE(c.alice.read(b0));
  ASSERT_TRUE(c.bob.read(a0));
  const auto b1 = c.bob.send("b1");
  EXPECT_EQ(thief.read(b1), "b1") << "made for the ratchet key that he stole";
  ASSERT_TRUE(c.alice.read(b1));
  // Alice has answered with a key of her own making: from here on he is shut out.
  for (int i = 0; i < 20; ++i) {
    const auto from_alice = c.alice.send("secret");
    EXPECT_EQ(thief.read_sent(from_alice), "corrupt") << i;
    ASSERT_TRUE(c.bob.read(from_alice));
    const auto from_bob = c.bob.send("secret");
    EXPECT_EQ(thief.read(from_bob), "corrupt") << i;
    ASSERT_TRUE(c.alice.read(from_bob));
  }
}

// The same of somebody who stole the state of both ends at once: the second round trip does it.
TEST(Recovery, TheftAtBothEnds) {
  Couple c;
  c.meet();
  Thief at_alice(c.alice), at_bob(c.bob);
  for (int i = 0; i < 2; ++i) {
    const auto ping = c.alice.send("ping");
    EXPECT_EQ(at_bob.read(ping), i == 0 ? "ping" : "corrupt");
    ASSERT_TRUE(c.bob.read(ping));
    const auto pong = c.bob.send("pong");
    at_alice.read(pong);
    ASSERT_TRUE(c.alice.read(pong));
  }
  for (int i = 0; i < 5; ++i) {
    const auto from_alice = c.alice.send("secret"), from_bob = c.bob.send("secret");
    EXPECT_EQ(at_bob.read(from_alice), "corrupt");
    EXPECT_EQ(at_alice.read_sent(from_alice), "corrupt");
    EXPECT_EQ(at_alice.read(from_bob), "corrupt");
    EXPECT_EQ(at_bob.read_sent(from_bob), "corrupt");
    ASSERT_TRUE(c.bob.read(from_alice));
    ASSERT_TRUE(c.alice.read(from_bob));
  }
}

// X25519 is broken: the thief is given Alice's whole Double Ratchet before every message, and all
// traffic; her post-quantum secrets he stole once. He reads until the first exchange that both
// ends drew afresh is done, and never again.
TEST(Recovery, ThePostQuantumRatchetRecoversByItself) {
  Couple c;
  c.meet();
  Spqr stolen = std::move(*current_of(c.alice.record.view()).spqr);
  const std::uint64_t epoch = stolen.epoch();
  SeededEntropy entropy(666);
  int read = 0, last_read = 0;
  for (int i = 0; i < 300; ++i) {
    ASSERT_TRUE(c.bob.read(c.alice.send("ping")));
    (void)stolen.send(entropy);  // he keeps step with her
    const auto message = c.bob.send("pong");
    SessionState state = current_of(c.alice.record.view());
    state.spqr = stolen.clone();
    Session session = session_of(state);
    Env env{c.alice.now, entropy};
    const auto got =
        decrypt(session, c.alice.own, c.alice.prekeys, message.type, message.message, nullptr, env);
    if (got) {
      ++read;
      last_read = i;
      stolen = std::move(*current_of(session.serialize().view()).spqr);
    }
    ASSERT_TRUE(c.alice.read(message));
  }
  EXPECT_GT(read, 0) << "the thief is real";
  EXPECT_EQ(read, last_read + 1) << "shut out once and for all";
  EXPECT_LT(last_read, 150);
  EXPECT_GT(current_of(c.alice.record.view()).spqr->epoch(), epoch + 2);
}

// The control: without that ratchet the same thief reads for ever.
TEST(Recovery, WithoutItHeWouldReadForEver) {
  Couple c;
  SeededEntropy entropy(666);
  Session alice, bob;
  auto alice_env = c.alice.env(), bob_env = c.bob.env();
  ASSERT_TRUE(
      start_session(alice, c.alice.own, c.bob.bundle(), nullptr, alice_env, Protocol::kPqxdh));
  for (int i = 0; i < 100; ++i) {
    const auto ping = encrypt(alice, c.alice.own, view_of("ping"), alice_env).value();
    ASSERT_TRUE(decrypt(bob, c.bob.own, c.bob.prekeys, ping.type, ping.message, nullptr, bob_env,
                        Protocol::kPqxdh));
    const auto pong = encrypt(bob, c.bob.own, view_of("pong"), bob_env).value();
    Session stolen = alice.clone();
    Env env{c.alice.now, entropy};
    for (Session* reader : {&stolen, &alice}) {
      EXPECT_TRUE(decrypt(*reader, c.alice.own, c.alice.prekeys, pong.type, pong.message, nullptr,
                          reader == &alice ? alice_env : env, Protocol::kPqxdh));
    }
  }
}

// ---- deniability

// Bob alone writes a conversation with Alice that verifies as the true one would: whatever he
// shows to a third person, he could have made up. He uses his own private keys and her public one.
TEST(Deniability, TheRecipientCanForgeTheWholeConversation) {
  Couple c;
  const PublicKey alice = c.alice.own.public_key();
  auto bundle = c.bob.bundle();
  auto env = c.bob.env();

  const auto base = crypto::KeyPair::generate(env.entropy);
  crypto::KemRandom random;
  env.entropy.fill(random.mutable_view());
  const auto kem = crypto::kem1024_encaps(crypto::Kem1024Variant::kKyberRound3,
                                          bundle.kyber_prekey->key.key, random);
  const SignedPrekey& signed_prekey = c.bob.prekeys.signed_prekeys.at({22});
  const OneTimePrekey& one_time = c.bob.prekeys.one_time_prekeys.at({1});
  const auto agreed = agree_as_responder(c.bob.own, signed_prekey, &one_time, alice,
                                         {base.public_key}, &kem.shared);
  ASSERT_TRUE(agreed);
  SessionState state{
      kVersion4,
      c.bob.own.public_key(),
      {base.public_key},
      c.bob.own.registration_id,
      SessionState::Unacknowledged{OneTimePrekeyId{1},
                                   {22},
                                   env.now,
                                   bundle.kyber_prekey->id,
                                   to_bytes(wire_of(kem.ciphertext))},
      DoubleRatchet::initiator(agreed->root, agreed->chain, bundle.signed_prekey.u, env.entropy)
          .value(),
      Spqr::start(agreed->pq_seed, Role::kInitiator)};
  Session as_alice = session_of(state);
  const LocalIdentity puppet{{Key(), alice.u}, 77};  // no private key: none is needed

  for (int i = 0; i < 5; ++i) {
    const auto forged = encrypt(as_alice, puppet, view_of("I owe you everything"), env);
    ASSERT_TRUE(forged);
    const auto got = c.bob.read(*forged);
    EXPECT_EQ(outcome(got), "I owe you everything") << i;
    ASSERT_TRUE(got);
    EXPECT_EQ(got->sender, alice);
    const auto answer = c.bob.send("you do");
    EXPECT_EQ(
        outcome(decrypt(as_alice, puppet, Prekeys(), answer.type, answer.message, nullptr, env)),
        "you do");
  }
}

// ---- asynchronous start

TEST(AsynchronousStart, TheOtherSideMayBeAwayAllAlong) {
  Couple c;
  const auto bundle = c.bob.bundle();  // all that is ever had of Bob
  ASSERT_TRUE(c.alice.start(bundle));
  std::vector<Encrypted> sent;
  for (int i = 0; i < 20; ++i) sent.push_back(c.alice.send(std::to_string(i)));
  const PublicKey alice = c.alice.own.public_key();
  c.alice.record = {};  // and now she is the one who is gone
  for (std::size_t i = sent.size(); i-- > 0;) {  // in any order
    const auto got = c.bob.read(sent[i].type, sent[i].message, &alice);
    EXPECT_EQ(outcome(got), std::to_string(i));
  }
}

// ---- groups

struct Member {
  explicit Member(std::uint64_t seed) : entropy(seed) {}
  Bytes say(std::string_view text) { return own.encrypt(view_of(text), entropy).value(); }
  std::string hear(ByteView message) {
    const auto text = theirs.decrypt(message);
    return text ? to_string(*text) : std::string(code_name(text.error().code));
  }

  SeededEntropy entropy;
  SenderKey own, theirs;  // theirs: the other's
};

constexpr DistributionId kGroup = {1, 2, 3};

TEST(Group, ARemovedMemberReadsNothingAfterTheRotation) {
  Member alice(1), bob(2), removed(3);
  alice.own.create(kGroup, alice.entropy);
  const Bytes told = alice.own.distribution_message().value();
  ASSERT_TRUE(bob.theirs.learn(told));
  ASSERT_TRUE(removed.theirs.learn(told));
  const Bytes before = alice.say("with you");
  EXPECT_EQ(removed.hear(before), "with you");
  const Bytes stolen = to_bytes(removed.theirs.serialize().view());

  alice.own.create(kGroup, alice.entropy);
  const Bytes told_again = alice.own.distribution_message().value();  // in sessions, not to him
  ASSERT_TRUE(bob.theirs.learn(told_again));
  // The new chain has nothing of the old one: not its key, nor its signing key, nor what follows.
  SenderKey fresh;
  ASSERT_TRUE(fresh.learn(told_again));
  const Bytes record = to_bytes(fresh.serialize().view());
  for (std::size_t at = 0; at + 32 <= stolen.size(); ++at) {
    Key key(ByteView(stolen).subspan(at).first<32>());
    for (int i = 0; i < 16; ++i) {
      EXPECT_TRUE(std::ranges::search(record, key.view()).empty()) << at;
      key = crypto::hmac_sha256(key.view(), ByteArray<1>{2});
    }
  }
  // Even if somebody told him all of the new chain but its key.
  constexpr std::size_t kKeyEnd = 2 + PublicKey::kSize;  // from the end: the signing key follows
  Bytes mixed = told_again;
  std::copy_n(told.end() - kKeyEnd - 32, 32, mixed.end() - kKeyEnd - 32);
  Member informed(4);
  ASSERT_TRUE(informed.theirs.learn(mixed));
  for (int i = 0; i < 20; ++i) {
    const Bytes message = alice.say("without you");
    EXPECT_EQ(removed.hear(message), "not_found");
    EXPECT_NE(informed.hear(message), "without you");
    EXPECT_EQ(bob.hear(message), "without you");
  }
}

TEST(Group, AStolenRecordReadsNothingThatWasRead) {
  Member alice(1), bob(2);
  alice.own.create(kGroup, alice.entropy);
  ASSERT_TRUE(bob.theirs.learn(alice.own.distribution_message().value()));
  std::vector<Bytes> sent;
  for (int i = 0; i < 10; ++i) sent.push_back(alice.say(std::to_string(i)));
  for (const std::size_t i : {5, 9, 0}) EXPECT_EQ(bob.hear(sent[i]), std::to_string(i));
  Member thief(3);
  thief.theirs = SenderKey::parse(bob.theirs.serialize().view()).value();
  for (std::size_t i = 0; i < sent.size(); ++i) {
    const bool read = i == 5 || i == 9 || i == 0;
    EXPECT_EQ(thief.hear(sent[i]), read ? "duplicate" : std::to_string(i));
  }
}

// Who may read may not write: a member cannot speak for another.
TEST(Group, AMemberCannotForgeAnothersMessage) {
  Member alice(1), bob(2), member(3);
  alice.own.create(kGroup, alice.entropy);
  const Bytes told = alice.own.distribution_message().value();
  ASSERT_TRUE(bob.theirs.learn(told));
  ASSERT_TRUE(member.theirs.learn(told));
  EXPECT_FALSE(member.theirs.can_encrypt());
  EXPECT_FALSE(member.theirs.encrypt(view_of("forged"), member.entropy));
  // He knows the chain key, and signs with a key of his own.
  const Bytes real = alice.say("real");
  const auto own = crypto::KeyPair::generate(member.entropy);
  Bytes forged(real.begin(), real.end() - 64);
  append(forged, crypto::xeddsa_sign(own.private_key, forged, member.entropy.draw<64>()));
  EXPECT_EQ(bob.hear(forged), "corrupt");
  EXPECT_EQ(bob.hear(real), "real");
}

}  // namespace
}  // namespace godwit::e2e
