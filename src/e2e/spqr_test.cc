#include "e2e/spqr.h"

#include <gtest/gtest.h>

#include <deque>

#include "base/codec.h"
#include "base/limits.h"

namespace godwit::e2e {
namespace {

// Stored and loaded at every step, as a session is.
struct Side {
  Spqr state;

  void reload() {
    const auto record = state.serialize();
    largest = std::max(largest, record.size());
    auto loaded = Spqr::parse(record.view());
    ASSERT_TRUE(loaded) << loaded.error().text;
    state = std::move(*loaded);
  }
  Spqr::Sent send(Entropy& entropy) {
    auto sent = state.send(entropy);
    EXPECT_TRUE(sent);
    reload();
    return std::move(*sent);
  }
  Result<crypto::Key> receive(ByteView message) {
    Spqr copy = state.clone();
    auto key = copy.receive(message);
    if (key) state = std::move(copy);
    reload();
    return key;
  }
  std::size_t largest = 0;
};

struct Pair {
  explicit Pair(std::uint64_t seed) : entropy(seed) {
    const crypto::Key secret(entropy.draw<32>());
    a.state = Spqr::start(secret, Role::kInitiator);
    b.state = Spqr::start(secret, Role::kResponder);
  }
  // One message that arrives.
  void pass(Side& from, Side& to) {
    const auto sent = from.send(entropy);
    const auto key = to.receive(sent.message);
    ASSERT_TRUE(key) << key.error().text;
    EXPECT_TRUE(crypto::equal(key->view(), sent.key.view()));
  }
  SeededEntropy entropy;
  Side a, b;
};

TEST(Spqr, OldPeersMayStartWithoutAKeyIfTheyAreLet) {
  Pair pair(7);
  Bytes message = pair.a.send(pair.entropy).message;
  ASSERT_EQ(message[2], 1);  // after the version and the epoch: the index
  message[2] = 0;
  EXPECT_EQ(pair.b.receive(message).error().code, Code::kCorrupt);
  Spqr later = pair.b.state.clone();
  const auto keyless = later.receive(message, true, limits::kForwardJump);
  ASSERT_TRUE(keyless);
  EXPECT_FALSE(*keyless);
  const auto next = later.receive(pair.a.send(pair.entropy).message, true, limits::kForwardJump);
  ASSERT_TRUE(next);
  EXPECT_TRUE(*next);
  message[1] = 2;  // of a later epoch
  EXPECT_FALSE(later.receive(message, true, limits::kForwardJump));
}

TEST(Spqr, NoRecordMakesAnEpochWrap) {
  const auto chain = SpqrChain::start(crypto::Key(), Role::kInitiator);
  Bytes record = to_bytes(chain.serialize().view());
  constexpr std::size_t kFirstEpoch = 2 + 32 + 1;  // after the root and the field's number
  ASSERT_EQ(record[kFirstEpoch], 0);
  EXPECT_TRUE(SpqrChain::parse(record));
  record[kFirstEpoch] = 1;  // 2^64 - 1
  record.insert(record.begin() + kFirstEpoch, 9, 0xff);
  EXPECT_FALSE(SpqrChain::parse(record));
}

TEST(Spqr, TakesTurnsForManyEpochs) {
  Pair pair(1);
  for (int i = 0; i < 400; ++i) {
    pair.pass(pair.a, pair.b);
    pair.pass(pair.b, pair.a);
  }
  EXPECT_GE(pair.a.state.epoch(), 6u);
  EXPECT_LE(pair.a.state.epoch() - pair.b.state.epoch() + 1, 2u);
  EXPECT_LT(pair.a.largest, 4096u);
  EXPECT_LT(pair.b.largest, 4096u);
}

// Lost, late, repeated and reordered, in runs of any length.
TEST(Spqr, AgreesThroughLossAndReordering) {
  std::uint64_t slowest = UINT64_MAX;
  for (std::uint64_t seed = 1; seed <= 6; ++seed) {
    Pair pair(seed);
    std::deque<Spqr::Sent> to_a, to_b;
    int received = 0;
    for (int step = 0; step < 1500; ++step) {
      Side& from = pair.entropy.below(2) == 0 ? pair.a : pair.b;
      auto& wire = &from == &pair.a ? to_b : to_a;
      Side& to = &from == &pair.a ? pair.b : pair.a;
      for (auto run = pair.entropy.below(4); run > 0; --run) {
        auto sent = from.send(pair.entropy);
        if (pair.entropy.below(4) != 0) wire.push_back(std::move(sent));
      }
      if (wire.empty()) continue;
      const std::size_t which = pair.entropy.below(std::min<std::size_t>(wire.size(), 8));
      const Spqr::Sent sent = std::move(wire[which]);
      wire.erase(wire.begin() + static_cast<std::ptrdiff_t>(which));
      const auto key = to.receive(sent.message);
      ASSERT_TRUE(key) << key.error().text << " seed " << seed << " step " << step;
      EXPECT_TRUE(crypto::equal(key->view(), sent.key.view()));
      EXPECT_EQ(to.receive(sent.message).error().code, Code::kDuplicate);
      ++received;
    }
    EXPECT_GE(received, 800);
    slowest = std::min(slowest, pair.a.state.epoch());
  }
  EXPECT_GE(slowest, 3u);
}

TEST(Spqr, OneSideAloneKeepsSending) {
  Pair pair(2);
  for (int i = 0; i < 100; ++i) pair.pass(pair.a, pair.b);
  pair.pass(pair.b, pair.a);
  for (int i = 0; i < 100; ++i) pair.pass(pair.a, pair.b);
  for (int i = 0; i < 100; ++i) pair.pass(pair.b, pair.a);
  EXPECT_EQ(pair.a.state.epoch(), 1u);
}

// Every octet that is not ignored matters: the key differs, or there is none.
TEST(Spqr, ForgedMessagesNeverGiveTheKey) {
  Pair pair(3);
  for (int i = 0; i < 60; ++i) {
    const auto sent = pair.a.send(pair.entropy);
    for (std::size_t at = 0; at < 4; ++at) {
      Bytes forged = sent.message;
      forged[at] ^= 0x41;
      Spqr copy = pair.b.state.clone();
      const auto key = copy.receive(forged);
      if (at == 3) continue;  // another type or chunk is for the session's MAC to find
      EXPECT_FALSE(key && crypto::equal(key->view(), sent.key.view())) << at;
    }
    ASSERT_TRUE(pair.b.receive(sent.message));
    pair.pass(pair.b, pair.a);
  }
}

// A chunk swapped for another one of the right form is found by the exchange itself.
TEST(Spqr, TamperedExchangeIsRefused) {
  const struct {
    std::uint8_t type;
    bool from_a;
  } kinds[] = {{1, true}, {2, true}, {3, true}, {5, false}, {6, false}};
  for (const auto& kind : kinds) {
    Pair pair(4);
    bool refused = false, tampered = false, answered = false;
    for (int i = 0; i < 200 && !refused; ++i) {
      for (const bool from_a : {true, false}) {
        Side& from = from_a ? pair.a : pair.b;
        Side& to = from_a ? pair.b : pair.a;
        Bytes message = from.send(pair.entropy).message;
        if (!tampered && from_a == kind.from_a && message[3] == kind.type) {
          message.back() ^= 1;
          tampered = true;
        }
        answered = answered || message[3] == 5;
        const auto key = to.receive(message);
        if (!key) {
          EXPECT_EQ(key.error().code, Code::kCorrupt);
        }
        refused = refused || !key;
      }
    }
    EXPECT_TRUE(tampered && refused) << static_cast<int>(kind.type);
    if (kind.type == 1) {
      EXPECT_FALSE(answered) << "a secret for an unauthenticated key";
    }
    EXPECT_EQ(std::min(pair.a.state.epoch(), pair.b.state.epoch()), 1u);
  }
}

TEST(Spqr, RefusesOtherVersionsAndNone) {
  Pair pair(5);
  Bytes message = pair.a.send(pair.entropy).message;
  EXPECT_EQ(pair.b.receive({}).error().code, Code::kUnsupported);
  for (const std::uint8_t version : {std::uint8_t{0}, std::uint8_t{2}}) {
    message[0] = version;
    EXPECT_EQ(pair.b.receive(message).error().code, Code::kUnsupported);
  }
  message[0] = 1;
  for (std::size_t size = 1; size < message.size(); ++size) {
    EXPECT_EQ(pair.b.receive(ByteView(message).first(size)).error().code, Code::kCorrupt) << size;
  }
  message.push_back(99);
  EXPECT_TRUE(pair.b.receive(message)) << "what follows is ignored";
}

TEST(Spqr, JumpsAndKeptKeysAreBounded) {
  Pair pair(6);
  std::vector<Spqr::Sent> sent;
  for (std::size_t i = 0; i < limits::kSkippedSeeds + 2; ++i) {
    sent.push_back(std::move(*pair.a.state.send(pair.entropy)));
  }
  ASSERT_TRUE(pair.b.receive(sent.back().message));
  EXPECT_EQ(pair.b.receive(sent[0].message).error().code, Code::kDuplicate) << "too long ago";
  const auto late = pair.b.receive(sent[1].message);
  ASSERT_TRUE(late);
  EXPECT_TRUE(crypto::equal(late->view(), sent[1].key.view()));

  const auto at = [](std::uint64_t index) {
    Bytes message = {1};
    put_varint(message, 1);
    put_varint(message, index);
    message.push_back(0);
    return message;
  };
  const auto used = sent.size();
  EXPECT_EQ(pair.b.receive(at(used + limits::kForwardJump + 1)).error().code, Code::kCorrupt);
  EXPECT_EQ(pair.b.receive(at(UINT32_MAX)).error().code, Code::kCorrupt);
  EXPECT_EQ(pair.b.receive(at(std::uint64_t{1} << 32)).error().code, Code::kCorrupt);
  EXPECT_EQ(pair.b.receive(at(0)).error().code, Code::kCorrupt);
  EXPECT_TRUE(pair.b.receive(at(used + limits::kForwardJump)));
}

TEST(Spqr, ParseSurvivesDamage) {
  Pair pair(7);
  for (int i = 0; i < 90; ++i) {
    pair.pass(pair.a, pair.b);
    pair.pass(pair.b, pair.a);
    if (i % 9 != 0) continue;
    const Bytes record = to_bytes((i % 2 == 0 ? pair.a : pair.b).state.serialize().view());
    for (std::size_t size = 0; size < record.size(); size += 7) {
      EXPECT_FALSE(Spqr::parse(ByteView(record).first(size)));
    }
    for (int flip = 0; flip < 40; ++flip) {
      Bytes damaged = record;
      damaged[pair.entropy.below(damaged.size())] ^=
          static_cast<std::uint8_t>(1 + pair.entropy.below(255));
      auto parsed = Spqr::parse(damaged);
      if (!parsed) continue;
      for (int use = 0; use < 20; ++use) {  // wrong, perhaps, but nothing breaks
        (void)parsed->send(pair.entropy);
        (void)parsed->receive(pair.b.state.clone().send(pair.entropy)->message);
      }
    }
  }
}

}  // namespace
}  // namespace godwit::e2e
