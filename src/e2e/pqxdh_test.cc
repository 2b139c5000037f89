#include "e2e/pqxdh.h"

#include <gtest/gtest.h>

#include "e2e/test_peer.h"

namespace godwit::e2e {
namespace {

TEST(Pqxdh, BothSidesAgree) {
  Peer alice(1), bob(2);
  const auto base = crypto::KeyPair::generate(alice.entropy);
  const PublicKey base_key{base.public_key}, alices = alice.own.public_key();
  const SignedPrekey& signed_prekey = *bob.prekeys.find_signed({22});
  const crypto::Key kem(alice.entropy.draw<32>());
  for (const bool with_one_time : {true, false}) {
    PrekeyBundle bundle = bob.bundle();
    if (!with_one_time) bundle.one_time_prekey.reset();
    const OneTimePrekey* one_time = with_one_time ? bob.prekeys.find_one_time({1}) : nullptr;
    const auto theirs = agree_as_initiator(alice.own, base, bundle, &kem);
    const auto ours = agree_as_responder(bob.own, signed_prekey, one_time, alices, base_key, &kem);
    ASSERT_TRUE(theirs && ours);
    EXPECT_TRUE(crypto::equal(theirs->root.view(), ours->root.view()));
    EXPECT_TRUE(crypto::equal(theirs->chain.view(), ours->chain.view()));
    EXPECT_TRUE(crypto::equal(theirs->pq_seed.view(), ours->pq_seed.view()));
    EXPECT_FALSE(crypto::equal(ours->root.view(), ours->chain.view()));

    const crypto::Key another(alice.entropy.draw<32>());
    const auto wrong =
        agree_as_responder(bob.own, signed_prekey, one_time, alices, base_key, &another);
    EXPECT_FALSE(crypto::equal(wrong->root.view(), ours->root.view()));
  }
}

// The same point with the unused top bit set would give the same secrets under another name, and so
// let a first message be replayed as a new session.
TEST(Pqxdh, TheBaseKeyMustBeCanonical) {
  Peer alice(1), bob(2);
  PublicKey base{crypto::KeyPair::generate(alice.entropy).public_key};
  base.u[31] |= 0x80;
  const auto agreed = agree_as_responder(bob.own, *bob.prekeys.find_signed({22}), nullptr,
                                         alice.own.public_key(), base, nullptr);
  ASSERT_FALSE(agreed);
  EXPECT_EQ(agreed.error().code, Code::kCorrupt);
}

}  // namespace
}  // namespace godwit::e2e
