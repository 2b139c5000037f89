#include "proto/noise.h"

#include <gtest/gtest.h>

#include "crypto/test_vectors.h"

namespace godwit::proto {
namespace {

using crypto::KeyPair;
using vectors::array;
using vectors::hex;

// Hands out recorded octets.
class Replay final : public Entropy {
 public:
  explicit Replay(Bytes octets) : octets_(std::move(octets)) {}
  void fill(MutableByteView out) override {
    ASSERT_LE(used_ + out.size(), octets_.size());
    for (std::uint8_t& octet : out) octet = octets_[used_++];
  }

 private:
  Bytes octets_;
  std::size_t used_ = 0;
};

void check_vector(const nlohmann::json& test) {
  SCOPED_TRACE(test["protocol_name"].get<std::string>());
  const bool ik = test["protocol_name"].get<std::string>().starts_with("Noise_IK_");
  const auto alice_keys = KeyPair::from_private(array<32>(test["init_static"]));
  const auto bob_keys = KeyPair::from_private(array<32>(test["resp_static"]));
  Replay alice_entropy(hex(test["init_ephemeral"])), bob_entropy(hex(test["resp_ephemeral"]));
  const Bytes prologue = hex(test["init_prologue"]);
  auto alice = ik ? NoiseHandshake::initiator_ik(alice_keys, bob_keys.public_key, prologue)
                  : NoiseHandshake::initiator_xx(alice_keys, prologue);
  auto bob = ik ? NoiseHandshake::responder_ik(bob_keys, prologue)
                : NoiseHandshake::responder_xx(bob_keys, prologue);

  std::optional<NoiseChannel> alice_channel, bob_channel;
  bool alice_sends = true;
  for (const auto& message : test["messages"]) {
    const Bytes payload = hex(message["payload"]), wire = hex(message["ciphertext"]);
    if (!alice.finished()) {
      auto& sender = alice_sends ? alice : bob;
      auto& receiver = alice_sends ? bob : alice;
      const auto sent = sender.write(payload, alice_sends ? alice_entropy : bob_entropy);
      ASSERT_TRUE(sent);
      EXPECT_EQ(*sent, wire);
      const auto received = receiver.read(wire);
      ASSERT_TRUE(received);
      EXPECT_EQ(*received, payload);
    } else {
      if (!alice_channel) {
        alice_channel = alice.split();
        bob_channel = bob.split();
      }
      Bytes record;
      ASSERT_TRUE((alice_sends ? alice_channel : bob_channel)->seal(payload, record));
      EXPECT_EQ(record, wire);
      const auto opened = (alice_sends ? bob_channel : alice_channel)->open(wire);
      ASSERT_TRUE(opened);
      EXPECT_EQ(*opened, payload);
    }
    alice_sends = !alice_sends;
  }
  EXPECT_TRUE(alice_channel);
  EXPECT_EQ(alice.hash(), bob.hash());
  if (test.contains("handshake_hash")) {
    EXPECT_EQ(to_bytes(alice.hash()), hex(test["handshake_hash"]));
  }
  EXPECT_EQ(alice.remote_static(), bob_keys.public_key);
  EXPECT_EQ(bob.remote_static(), alice_keys.public_key);
}

void check_file(const std::string& name) {
  const auto file = vectors::load("noise/" + name);
  int count = 0;
  for (const auto& test : file["vectors"]) {
    const auto protocol = test["protocol_name"].get<std::string>();
    if (!protocol.starts_with("Noise_XX_") && !protocol.starts_with("Noise_IK_")) continue;
    check_vector(test);
    ++count;
  }
  EXPECT_EQ(count, 2);
}

TEST(Noise, Cacophony) { check_file("cacophony-25519-aesgcm-sha256.json"); }
TEST(Noise, Snow) { check_file("snow-25519-aesgcm-sha256.json"); }

struct Pair {
  SeededEntropy entropy{1};
  KeyPair alice_keys = KeyPair::generate(entropy), bob_keys = KeyPair::generate(entropy);
  NoiseHandshake alice = NoiseHandshake::initiator_xx(alice_keys, {});
  NoiseHandshake bob = NoiseHandshake::responder_xx(bob_keys, {});

  void use_ik() {
    alice = NoiseHandshake::initiator_ik(alice_keys, bob_keys.public_key, {});
    bob = NoiseHandshake::responder_ik(bob_keys, {});
  }
  // Delivers every message, after every way to flip a bit in it was refused.
  void shake() {
    while (!alice.finished() || !bob.finished()) {
      auto& sender = alice.my_turn() ? alice : bob;
      auto& receiver = alice.my_turn() ? bob : alice;
      const Bytes good = *sender.write(view_of("payload"), entropy);
      for (std::size_t i = 0; good.size() > 64 && i < good.size(); ++i) {
        Bytes forged = good;
        forged[i] ^= 1;
        EXPECT_FALSE(receiver.read(forged)) << i;
      }
      EXPECT_FALSE(receiver.read(ByteView(good).first(31)));
      EXPECT_EQ(*receiver.read(good), to_bytes("payload"));
    }
  }
};

TEST(Noise, TamperedHandshakesAreRefusedAndForgotten) {
  Pair xx, ik;
  ik.use_ik();
  xx.shake();
  ik.shake();
  EXPECT_EQ(xx.alice.hash(), xx.bob.hash());
  EXPECT_EQ(ik.alice.hash(), ik.bob.hash());
  EXPECT_NE(xx.alice.hash(), ik.alice.hash());
}

TEST(Noise, ProloguesMustAgree) {
  Pair pair;
  pair.bob = NoiseHandshake::responder_xx(pair.bob_keys, view_of("version 2"));
  ASSERT_TRUE(pair.bob.read(*pair.alice.write({}, pair.entropy)));
  EXPECT_EQ(pair.alice.read(*pair.bob.write({}, pair.entropy)).error().code, Code::kCorrupt);
}

TEST(Noise, SmallOrderPointsAreRefused) {
  Pair pair;
  ASSERT_TRUE(pair.bob.read(Bytes(32)));
  EXPECT_EQ(pair.bob.write({}, pair.entropy).error().code, Code::kCorrupt);
}

TEST(Noise, OutOfTurn) {
  Pair pair;
  const Bytes first = *pair.alice.write({}, pair.entropy);
  EXPECT_FALSE(pair.alice.my_turn());
  ASSERT_TRUE(pair.bob.read(first));
  EXPECT_EQ(pair.bob.read(first).error().code, Code::kInvalid);
}

TEST(Noise, RecordsOpenOnceAndInOrder) {
  Pair pair;
  pair.shake();
  NoiseChannel alice = pair.alice.split(), bob = pair.bob.split();
  Bytes one, two;
  ASSERT_TRUE(alice.seal(view_of("one"), one));
  ASSERT_TRUE(alice.seal(view_of("two"), two));
  EXPECT_EQ(bob.open(two).error().code, Code::kCorrupt) << "a gap";
  EXPECT_EQ(*bob.open(one), to_bytes("one"));
  EXPECT_EQ(bob.open(one).error().code, Code::kCorrupt) << "a replay";
  EXPECT_EQ(alice.open(two).error().code, Code::kCorrupt) << "a reflection";
  EXPECT_EQ(*bob.open(two), to_bytes("two"));
  EXPECT_FALSE(bob.open({}));
}

TEST(Noise, ChannelsMoveAndExpire) {
  Pair pair;
  pair.shake();
  NoiseChannel alice = pair.alice.split(), bob = pair.bob.split();
  Bytes record;
  ASSERT_TRUE(alice.seal(view_of("one"), record));
  auto moved = NoiseChannel::parse(alice.serialize().view());
  ASSERT_TRUE(moved);
  Bytes next;
  ASSERT_TRUE(moved->seal(view_of("two"), next));
  EXPECT_EQ(*bob.open(record), to_bytes("one"));
  EXPECT_EQ(*bob.open(next), to_bytes("two"));

  Bytes worn = bob.serialize().release();
  worn.resize(64);
  put_be64(worn, std::uint64_t{1} << 32);
  put_be64(worn, std::uint64_t{1} << 32);
  auto old = NoiseChannel::parse(worn);
  ASSERT_TRUE(old);
  EXPECT_EQ(old->seal({}, record).error().code, Code::kExpired);
  EXPECT_EQ(old->open(next).error().code, Code::kExpired);
  EXPECT_EQ(NoiseChannel::parse(ByteView(worn).first(79)).error().code, Code::kCorrupt);
}

TEST(Noise, HandshakesMoveBetweenMessages) {
  SeededEntropy entropy(5);
  const KeyPair alice_keys = KeyPair::generate(entropy), bob_keys = KeyPair::generate(entropy);
  for (const bool ik : {false, true}) {
    auto alice = ik ? NoiseHandshake::initiator_ik(alice_keys, bob_keys.public_key, {})
                    : NoiseHandshake::initiator_xx(alice_keys, {});
    auto bob = ik ? NoiseHandshake::responder_ik(bob_keys, {})
                  : NoiseHandshake::responder_xx(bob_keys, {});
    while (!bob.finished()) {
      auto moved = NoiseHandshake::parse(bob_keys, bob.serialize().view());
      ASSERT_TRUE(moved);
      bob = std::move(*moved);
      ASSERT_TRUE(bob.read(*alice.write({}, entropy)));
      if (!bob.finished()) ASSERT_TRUE(alice.read(*bob.write({}, entropy)));
    }
    EXPECT_EQ(bob.hash(), alice.hash());
    EXPECT_EQ(bob.remote_static(), alice_keys.public_key);
  }
  EXPECT_EQ(NoiseHandshake::parse(bob_keys, to_bytes("?")).error().code, Code::kCorrupt);
}

TEST(Noise, RecordsHaveALimit) {
  Pair pair;
  pair.shake();
  NoiseChannel alice = pair.alice.split(), bob = pair.bob.split();
  Bytes record;
  EXPECT_EQ(alice.seal(Bytes(65520), record).error().code, Code::kTooLarge);
  EXPECT_TRUE(record.empty());
  ASSERT_TRUE(alice.seal(Bytes(65519), record));
  EXPECT_EQ(record.size(), 65535u);
  EXPECT_EQ(bob.open(record)->size(), 65519u);
}

}  // namespace
}  // namespace godwit::proto
