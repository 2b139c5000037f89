// Who writes without a name: certificates, access keys, what is stored and what is refused.
#include "server/test_node.h"

namespace godwit::server {
namespace {

constexpr proto::AccessKey kKey{1, 2, 3};

class SealedTest : public ShardTest {
 protected:
  proto::Certified certify(const Person& p, const proto::AccessKey& key = kKey) {
    return node_.ask<proto::Certified>(p.session, Kind::kCertify, proto::Certify{key});
  }
  crypto::SenderCertificate certificate(const Person& p) {
    auto parsed = crypto::SenderCertificate::parse(certify(p).certificate);
    EXPECT_TRUE(parsed);
    return parsed ? std::move(*parsed) : crypto::SenderCertificate{};
  }
  proto::Submit sealed(const Person& to, std::uint8_t n, const proto::AccessKey& key = kKey) {
    auto submit = letter(to, n);
    submit.messages[0].parcels[0].type = proto::CiphertextType::kSealed;
    submit.access = key;
    return submit;
  }
  SessionId nameless() { return node_.open(PeerKey{99}); }
};
INSTANTIATE_TEST_SUITE_P(Shards, SealedTest, testing::Values(1, 3));

TEST_P(SealedTest, ACertificateNamesTheDeviceForADay) {
  Person alice = join(1);
  const auto certified = certify(alice);
  const auto root = crypto::PublicKey::parse(certified.trust_root);
  ASSERT_TRUE(root);
  EXPECT_EQ(*root, node_.certifier().trust_root());
  const auto got = crypto::SenderCertificate::parse(certified.certificate);
  ASSERT_TRUE(got);
  EXPECT_EQ(got->user, alice.user);
  EXPECT_EQ(got->device, DeviceId{1});
  EXPECT_EQ(got->identity_key, crypto::PublicKey{{1}});
  EXPECT_EQ(got->expires, node_.now + limits::kCertificateLifetime);
  EXPECT_TRUE(got->validate(*root, node_.now));
  EXPECT_FALSE(got->validate(*root, got->expires + milliseconds(1)));
}

TEST_P(SealedTest, AsksInARowAreAnsweredWithWhatWasSigned) {
  Person alice = join(1);
  const Bytes first = certificate(alice).wire;
  EXPECT_EQ(certificate(alice).wire, first);
  node_.pass(hours(2));
  EXPECT_NE(certificate(alice).wire, first);
}

TEST_P(SealedTest, OneCertificateOfAnotherServerIsNotThisOnes) {
  Person alice = join(1);
  SeededEntropy entropy(5);
  const Certifier other(crypto::Key(ByteArray<32>{8}), entropy);
  EXPECT_FALSE(certificate(alice).validate(other.trust_root(), node_.now));
}

TEST_P(SealedTest, WhoeverHasTheKeyWritesWithoutANameAndNothingStoredHasOne) {
  Person alice = join(1), bob = join(2);
  certify(bob);
  node_.close(bob.session);
  node_.ask<proto::Attached>(nameless(), Kind::kSubmit, sealed(bob, 1));
  EXPECT_EQ(node_.envelopes(), 1u);
  node_.store.each(ports::Space::kQueue, [&](ByteView, ByteView key, ByteView value, Instant) {
    EXPECT_EQ(text_of(value).find(text_of(alice.user.view())), std::string_view::npos);
    EXPECT_EQ(text_of(key).find(text_of(alice.user.view())), std::string_view::npos);
    const auto envelope = decode<proto::Envelope>(value);
    ASSERT_TRUE(envelope);
    EXPECT_TRUE(envelope->from.is_nil());
    EXPECT_EQ(envelope->from_device, DeviceId{});
  });
  node_.restart();
  attach(bob);
  const auto got = node_.deliveries(bob.session);
  ASSERT_EQ(got.size(), 1u);
  EXPECT_EQ(got[0].envelope.type, proto::CiphertextType::kSealed);
  EXPECT_TRUE(got[0].envelope.from.is_nil());
  node_.ask<proto::Attached>(nameless(), Kind::kSubmit, sealed(bob, 2));  // the key was stored
  EXPECT_EQ(node_.deliveries(bob.session).size(), 2u);
}

TEST_P(SealedTest, StrangersAreRefused) {
  Person bob = join(2);
  const SessionId stranger = nameless();
  EXPECT_EQ(node_.refused(stranger, Kind::kSubmit, sealed(bob, 1)).code, Code::kForbidden);
  certify(bob);
  EXPECT_EQ(node_.refused(stranger, Kind::kSubmit, sealed(bob, 1, {1, 2, 4})).code,
            Code::kForbidden);
  EXPECT_EQ(node_.refused(stranger, Kind::kSubmit, letter(bob, 1)).code, Code::kUnauthenticated);
  auto open = sealed(bob, 1);  // not sealed at all: it would say nobody wrote it
  open.messages[0].parcels[0].type = proto::CiphertextType::kWhisper;
  EXPECT_EQ(node_.refused(stranger, Kind::kSubmit, open).code, Code::kForbidden);
  EXPECT_EQ(node_.refused(stranger, Kind::kFetchBundles, proto::FetchBundles{bob.user, {}}).code,
            Code::kUnauthenticated);
  EXPECT_EQ(node_.envelopes(), 0u);
}

TEST_P(SealedTest, AnotherKeyEndsWhatTheOneBeforeOpened) {
  Person bob = join(2);
  certify(bob);
  certify(bob, {9});
  const SessionId session = nameless();
  EXPECT_EQ(node_.refused(session, Kind::kSubmit, sealed(bob, 1)).code, Code::kForbidden);
  node_.ask<proto::Attached>(session, Kind::kSubmit, sealed(bob, 1, {9}));
  const Person again = join(2);  // registered anew: nobody was given a key of this registration
  EXPECT_EQ(node_.refused(session, Kind::kSubmit, sealed(again, 2, {9})).code, Code::kForbidden);
}

TEST_P(SealedTest, ARepetitionIsStoredOnceAndStaleDevicesAreTold) {
  Person bob = join(2);
  certify(bob);
  const SessionId session = nameless();
  node_.ask<proto::Attached>(session, Kind::kSubmit, sealed(bob, 1));
  node_.ask<proto::Attached>(nameless(), Kind::kSubmit, sealed(bob, 1));
  EXPECT_EQ(node_.envelopes(), 1u);
  auto stale = sealed(bob, 2);
  stale.messages[0].parcels[0].registration_id = 5;
  const auto error = node_.refused(session, Kind::kSubmit, stale);
  EXPECT_EQ(error.code, Code::kConflict);
  EXPECT_EQ(error.devices.size(), 1u);
}

TEST_P(SealedTest, HintsPassWithTheKeyOnly) {
  Person bob = join(2);
  certify(bob);
  const auto hint = [&](const proto::AccessKey& key) {
    const auto submit = sealed(bob, 1, key);
    node_.send(nameless(), Kind::kHint, proto::Hint{bob.user, submit.messages[0], key});
    return std::ranges::count(node_.frames(bob.session), Kind::kHinted, &Frame::kind);
  };
  EXPECT_EQ(hint({4}), 0);
  EXPECT_EQ(hint(kKey), 1);
}

TEST_P(SealedTest, OneConnectionHasItsShare) {
  Person bob = join(2);
  certify(bob);
  const SessionId session = nameless();
  for (std::uint32_t i = 0; i < limits::kSealedRequests; ++i) {
    node_.post(session, Kind::kSubmit, sealed(bob, 1));
  }
  node_.run();
  const auto error = node_.refused(session, Kind::kSubmit, sealed(bob, 2));
  EXPECT_EQ(error.code, Code::kRateLimited);
  EXPECT_GT(error.retry_after, Duration{});
  node_.ask<proto::Attached>(nameless(), Kind::kSubmit, sealed(bob, 2));  // others have theirs
  node_.pass(limits::kSealedWindow);
  node_.ask<proto::Attached>(session, Kind::kSubmit, sealed(bob, 3));
}

}  // namespace
}  // namespace godwit::server
