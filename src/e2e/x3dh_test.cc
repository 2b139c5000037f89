#include "e2e/x3dh.h"

#include <gtest/gtest.h>

#include "e2e/test_peer.h"

namespace godwit::e2e {
namespace {

TEST(X3dh, BothSidesAgree) {
  Peer alice(1), bob(2);
  const auto base = crypto::KeyPair::generate(alice.entropy);
  const PublicKey base_key{base.public_key}, alices = alice.own.public_key();
  const SignedPrekey& signed_prekey = *bob.prekeys.find_signed({22});
  for (const bool with_one_time : {true, false}) {
    PrekeyBundle bundle = bob.bundle();
    if (!with_one_time) bundle.one_time_prekey.reset();
    const OneTimePrekey* one_time = with_one_time ? bob.prekeys.find_one_time({1}) : nullptr;
    const auto theirs = agree_as_initiator(alice.own, base, bundle);
    const auto ours = agree_as_responder(bob.own, signed_prekey, one_time, alices, base_key);
    ASSERT_TRUE(theirs && ours);
    EXPECT_TRUE(crypto::equal(theirs->root.view(), ours->root.view()));
    EXPECT_TRUE(crypto::equal(theirs->chain.view(), ours->chain.view()));
    EXPECT_FALSE(crypto::equal(ours->root.view(), ours->chain.view()));
  }
}

// The same point with the unused top bit set would give the same secrets under another name, and so
// let a first message be replayed as a new session.
TEST(X3dh, TheBaseKeyMustBeCanonical) {
  Peer alice(1), bob(2);
  PublicKey base{crypto::KeyPair::generate(alice.entropy).public_key};
  base.u[31] |= 0x80;
  const auto agreed = agree_as_responder(bob.own, *bob.prekeys.find_signed({22}), nullptr,
                                         alice.own.public_key(), base);
  ASSERT_FALSE(agreed);
  EXPECT_EQ(agreed.error().code, Code::kCorrupt);
}

}  // namespace
}  // namespace godwit::e2e
