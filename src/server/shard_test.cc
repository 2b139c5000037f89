#include "server/test_node.h"

namespace godwit::server {
namespace {

INSTANTIATE_TEST_SUITE_P(Shards, ShardTest, testing::Values(1, 2, 5));

TEST_P(ShardTest, OneWritesTheOtherReadsAndTheServerForgets) {
  Person alice = join(1);
  Person bob = join(2);
  EXPECT_EQ(node_.ask<proto::LookedUp>(alice.session, Kind::kLookup, proto::Lookup{bob.phone}).user,
            bob.user);
  node_.ask<proto::Attached>(alice.session, Kind::kSubmit, letter(bob, 1));
  const auto got = node_.deliveries(bob.session);
  ASSERT_EQ(got.size(), 1u);
  EXPECT_EQ(got[0].envelope.from, alice.user);
  EXPECT_EQ(got[0].envelope.ciphertext, Bytes(20, 1));
  EXPECT_EQ(node_.envelopes(), 1u);
  node_.send(bob.session, Kind::kAck, proto::Ack{got[0].sequence});
  EXPECT_EQ(node_.envelopes(), 0u);
}

TEST_P(ShardTest, OfflineThroughARestart) {
  Person alice = join(1);
  Person bob = join(2);
  node_.close(bob.session);
  for (std::uint8_t n = 1; n <= 5; ++n) {
    node_.ask<proto::Attached>(alice.session, Kind::kSubmit, letter(bob, n));
  }
  node_.restart();
  attach(bob);
  const auto got = node_.deliveries(bob.session);
  ASSERT_EQ(got.size(), 5u);
  for (std::uint8_t n = 1; n <= 5; ++n) EXPECT_EQ(got[n - 1u].envelope.id.octets[0], n);
}

TEST_P(ShardTest, AFailedCommitIsAnErrorToTheSenderAndNothingIsBelieved) {
  Person alice = join(1);
  Person bob = join(2);
  node_.fail_writes = true;
  EXPECT_EQ(node_.refused(alice.session, Kind::kSubmit, letter(bob, 1)).code, Code::kUnavailable);
  EXPECT_TRUE(node_.closed(bob.session));  // its mailbox was forgotten: it attaches again
  node_.fail_writes = false;
  EXPECT_EQ(node_.envelopes(), 0u);
  attach(bob);
  node_.ask<proto::Attached>(alice.session, Kind::kSubmit, letter(bob, 1));
  EXPECT_EQ(node_.deliveries(bob.session).size(), 1u);
}

TEST_P(ShardTest, OtherShardsGoOnWithTheConnections) {
  Person alice = join(1), bob = join(2);
  for (std::uint8_t n = 1; n <= 3; ++n) node_.send(alice.session, Kind::kSubmit, letter(bob, n));
  const auto before = node_.deliveries(bob.session);
  node_.hand_over();  // bob has acknowledged nothing, alice sleeps
  node_.send(alice.session, Kind::kSubmit, letter(bob, 4));
  ASSERT_EQ(node_.deliveries(bob.session).size(), 4u);
  EXPECT_GT(node_.deliveries(bob.session)[3].sequence, before[2].sequence);
  node_.hand_over();
  node_.send(bob.session, Kind::kAck, proto::Ack{before[1].sequence});
  EXPECT_EQ(node_.envelopes(), 2u);
  node_.ask<proto::Attached>(bob.session, Kind::kPing, proto::Ping{before[1].sequence});
  node_.ask<proto::Attached>(alice.session, Kind::kPing, proto::Ping{});
  EXPECT_FALSE(node_.closed(bob.session) || node_.closed(alice.session));
}

// The clock that timers run by and the one that says what is due are not the same.
TEST_P(ShardTest, ATimerThatFiresEarlyIsSetAgain) {
  node_.write_behind = milliseconds(200);
  node_.restart();
  Person alice = join(1), bob = join(2);
  const auto request = node_.send(alice.session, Kind::kSubmit, letter(bob, 1));
  EXPECT_EQ(node_.deliveries(bob.session).size(), 1u);
  EXPECT_EQ(node_.envelopes(), 0u);
  ASSERT_EQ(node_.fire_timers(milliseconds(1)), 1u);
  EXPECT_EQ(node_.envelopes(), 0u);
  ASSERT_EQ(node_.fire_timers(), 1u);
  EXPECT_EQ(node_.envelopes(), 1u);
  EXPECT_EQ(node_.answer(alice.session, request).kind, Kind::kOk);
}

TEST_P(ShardTest, TheBusMayRepeatEverything) {
  node_.duplicate_bus = true;
  Person alice = join(1);
  Person bob = join(2);
  for (std::uint8_t n = 1; n <= 5; ++n) {
    node_.ask<proto::Attached>(alice.session, Kind::kSubmit, letter(bob, n));
  }
  EXPECT_EQ(node_.deliveries(bob.session).size(), 5u);
  EXPECT_EQ(node_.envelopes(), 5u);
  EXPECT_FALSE(node_.closed(bob.session));
}

TEST_P(ShardTest, AStaleListOfDevicesIsAConflictThatNamesThePresentOnes) {
  Person alice = join(1);
  Person bob = join(2);
  proto::Submit submit = letter(bob, 1);
  submit.messages[0].parcels[0].registration_id = 7;
  const auto error = node_.refused(alice.session, Kind::kSubmit, submit);
  EXPECT_EQ(error.code, Code::kConflict);
  ASSERT_EQ(error.devices.size(), 1u);
  EXPECT_EQ(error.devices[0].registration_id, 102u);
  submit.messages[0].parcels.clear();
  EXPECT_EQ(node_.refused(alice.session, Kind::kSubmit, submit).code, Code::kConflict);
}

TEST_P(ShardTest, OneTimePrekeysAreHandedOutOnceAndThenNone) {
  Person alice = join(1);
  Person bob = join(2);
  std::set<std::uint32_t> seen;
  const auto fetch = [&] {
    const auto bundles = node_.ask<proto::Bundles>(alice.session, Kind::kFetchBundles,
                                                   proto::FetchBundles{bob.user, {}});
    EXPECT_EQ(bundles.devices.size(), 1u);
    const auto& one_time = bundles.devices.at(0).one_time_prekey;
    return one_time ? seen.insert(one_time->id).second : false;
  };
  for (std::uint32_t i = 0; i < limits::kBundleFetches; ++i) EXPECT_TRUE(fetch());
  EXPECT_FALSE(fetch());  // one requester does not drain them all
  node_.now = node_.now + limits::kBundleWindow;
  node_.restart();
  attach(alice);
  attach(bob);
  while (seen.size() < 30) ASSERT_TRUE(fetch());
  node_.ask<proto::Attached>(bob.session, Kind::kUploadPrekeys,
                             proto::UploadPrekeys{{}, form(bob, "").one_time_prekeys, {}, {}});
  EXPECT_FALSE(fetch());  // known ids do not come back
  node_.ask<proto::Attached>(bob.session, Kind::kUploadPrekeys,
                             proto::UploadPrekeys{{}, {{31, Bytes(33, 5)}}, {}, {}});
  EXPECT_TRUE(fetch());
}

TEST_P(ShardTest, KemPrekeysAreHandedOutOnceAndThenTheLastResort) {
  Person alice = join(1);
  Person bob = join(2);
  const auto fetch = [&] {
    const auto bundles = node_.ask<proto::Bundles>(alice.session, Kind::kFetchBundles,
                                                   proto::FetchBundles{bob.user, {}});
    const auto& key = bundles.devices.at(0).kem_prekey;
    EXPECT_EQ(encode(key), encode(kem_prekey(key.id))) << "whole, and the right one";
    return key.id;
  };
  for (std::uint32_t id = 1; id <= limits::kBundleFetches; ++id) EXPECT_EQ(fetch(), id);
  EXPECT_EQ(fetch(), kLastResort) << "one requester does not drain them all";
  node_.now = node_.now + limits::kBundleWindow;
  node_.restart();
  attach(alice);
  attach(bob);
  const auto rows = node_.store.count(ports::Space::kPrekey).value();
  for (std::uint32_t id = limits::kBundleFetches + 1; id <= 25; ++id) EXPECT_EQ(fetch(), id);
  EXPECT_EQ(node_.store.count(ports::Space::kPrekey).value(),
            rows - 2 * (25 - limits::kBundleFetches))
      << "one of each kind is gone for good with every answer";
  EXPECT_EQ(fetch(), kLastResort);
  EXPECT_EQ(fetch(), kLastResort);

  node_.ask<proto::Attached>(
      bob.session, Kind::kUploadPrekeys,
      proto::UploadPrekeys{{}, {}, kem_prekey(kLastResort), {kem_prekey(25), kem_prekey(26)}});
  EXPECT_EQ(fetch(), 26u) << "known ids do not come back";
  EXPECT_EQ(fetch(), kLastResort);

  proto::UploadPrekeys renewed{{}, {}, {}, {kem_prekey(30), kem_prekey(31)}};
  node_.ask<proto::Attached>(bob.session, Kind::kUploadPrekeys, renewed);
  renewed.kem_prekeys = {kem_prekey(40)};
  renewed.one_time_prekeys = {{40, Bytes(33, 5)}};
  renewed.replace = true;
  node_.ask<proto::Attached>(bob.session, Kind::kUploadPrekeys, renewed);
  EXPECT_EQ(fetch(), 40u) << "those before are given up";
  EXPECT_EQ(fetch(), kLastResort);
  bob = join(2);  // a new registration starts anew
  EXPECT_EQ(fetch(), 1u);
}

TEST_P(ShardTest, ManyFetchesAtOnceShareNoKemPrekey) {
  Person bob = join(1);
  std::vector<Person> people;
  for (std::uint8_t n = 2; n <= 9; ++n) people.push_back(join(n));
  std::vector<std::pair<SessionId, std::uint64_t>> asked;
  for (int round = 0; round < 3; ++round) {
    for (const Person& person : people) {
      const proto::FetchBundles fetch{bob.user, {}};
      asked.emplace_back(person.session, node_.post(person.session, Kind::kFetchBundles, fetch));
    }
  }
  node_.run();
  std::set<std::uint32_t> given;
  for (const auto& [session, request] : asked) {
    const auto bundles = decode<proto::Bundles>(node_.answer(session, request).body);
    ASSERT_TRUE(bundles && bundles->devices.size() == 1);
    EXPECT_TRUE(given.insert(bundles->devices[0].kem_prekey.id).second);
  }
  EXPECT_EQ(given.size(), 24u);
  EXPECT_FALSE(given.contains(kLastResort));
}

TEST_P(ShardTest, TheStockOfPrekeysIsToldAndBounded) {
  Person bob = join(1);
  bob.session = node_.open(bob.peer);
  auto attached =
      node_.ask<proto::Attached>(bob.session, Kind::kAttach, proto::Attach{bob.user, {1}, {}});
  EXPECT_EQ(attached.prekeys.left, 30u);
  EXPECT_EQ(attached.prekeys.kem_left, 25u);
  for (std::uint32_t first = 100; first < 300; first += limits::kKemPrekeyBatch) {
    proto::UploadPrekeys upload;
    for (std::uint32_t i = 0; i < limits::kKemPrekeyBatch; ++i) {
      upload.kem_prekeys.push_back(kem_prekey(first + i));
    }
    node_.ask<proto::Attached>(bob.session, Kind::kUploadPrekeys, upload);
  }
  bob.session = node_.open(bob.peer);
  attached =
      node_.ask<proto::Attached>(bob.session, Kind::kAttach, proto::Attach{bob.user, {1}, {}});
  EXPECT_EQ(attached.prekeys.kem_left, limits::kMaxKemPrekeys);
}

TEST_P(ShardTest, AWrongCodeCountsAndFiveEndIt) {
  Person eve{"+33612345670", {9}, {}, {}};
  eve.session = node_.open(eve.peer);
  node_.ask<proto::Attached>(eve.session, Kind::kRequestCode, proto::RequestCode{eve.phone});
  const std::string right = node_.code;
  const std::string wrong = right == "000000" ? "000001" : "000000";
  for (int left = 4; left >= 0; --left) {
    const auto error = node_.refused(eve.session, Kind::kRegister, form(eve, wrong));
    EXPECT_EQ(error.code, Code::kForbidden);
    EXPECT_NE(error.text.find(left > 0 ? std::to_string(left) : "no attempt"), std::string::npos);
  }
  EXPECT_EQ(node_.refused(eve.session, Kind::kRegister, form(eve, right)).code, Code::kExpired);
}

TEST_P(ShardTest, ACodeAdmitsOneDeviceAndIsIdempotentForIt) {
  Person alice{"+33612345671", {1}, {}, {}};
  alice.session = node_.open(alice.peer);
  node_.ask<proto::Attached>(alice.session, Kind::kRequestCode, proto::RequestCode{alice.phone});
  const auto once =
      node_.ask<proto::Registered>(alice.session, Kind::kRegister, form(alice, node_.code));
  const auto twice =
      node_.ask<proto::Registered>(alice.session, Kind::kRegister, form(alice, node_.code));
  EXPECT_EQ(once.user, twice.user);
  const SessionId other = node_.open({66});
  EXPECT_EQ(node_.refused(other, Kind::kRegister, form(alice, node_.code)).code, Code::kExpired);
}

TEST_P(ShardTest, RegisteringAgainTakesTheNumberOverAndEndsTheOldDevice) {
  Person alice = join(1);
  Person bob = join(2);
  node_.close(bob.session);
  node_.ask<proto::Attached>(alice.session, Kind::kSubmit, letter(bob, 1));
  Person bob_again = bob;
  bob_again.peer[0] = 3;
  bob_again.session = node_.open(bob_again.peer);
  node_.ask<proto::Attached>(bob_again.session, Kind::kRequestCode, proto::RequestCode{bob.phone});
  const auto done =
      node_.ask<proto::Registered>(bob_again.session, Kind::kRegister, form(bob_again, node_.code));
  EXPECT_EQ(done.user, bob.user);
  EXPECT_EQ(node_.envelopes(), 0u);  // sealed for keys that are gone
  const SessionId old = node_.open(bob.peer);
  EXPECT_EQ(node_.refused(old, Kind::kAttach, proto::Attach{bob.user, {1}, {}}).code,
            Code::kUnauthenticated);
  EXPECT_EQ(node_.refused(alice.session, Kind::kSubmit, letter(bob, 2)).code, Code::kConflict);
}

TEST_P(ShardTest, ASecondConnectionOfADeviceEndsTheFirst) {
  Person alice = join(1);
  const SessionId first = alice.session;
  attach(alice);
  EXPECT_TRUE(node_.closed(first));
  EXPECT_FALSE(node_.closed(alice.session));
}

TEST_P(ShardTest, WhoSleepsIsNotInMemoryAndWakesForAMessage) {
  Person alice = join(1);
  Person bob = join(2);
  node_.pass(minutes(2));
  EXPECT_EQ(node_.counters().entities, 0u);
  EXPECT_EQ(node_.counters().sleeping, 2u);
  node_.reads = 0;
  node_.ask<proto::Attached>(bob.session, Kind::kPing, proto::Ping{});  // needs no store
  node_.send(bob.session, Kind::kAck, proto::Ack{{99}});
  EXPECT_EQ(node_.reads, 0);
  for (std::uint8_t n = 1; n <= 3; ++n) {
    node_.ask<proto::Attached>(alice.session, Kind::kSubmit, letter(bob, n));
    const auto got = node_.deliveries(bob.session);
    ASSERT_EQ(got.size(), n);
    EXPECT_EQ(got.back().envelope.id.octets[0], n);
    node_.pass(minutes(2));  // not yet acknowledged: it stays
    EXPECT_EQ(node_.counters().sleeping, 1u);
    node_.send(bob.session, Kind::kAck, proto::Ack{got.back().sequence});
    EXPECT_EQ(node_.envelopes(), 0u);
    node_.pass(minutes(2));
    EXPECT_EQ(node_.counters().sleeping, 2u);
  }
  const SessionId first = bob.session;
  attach(bob);
  EXPECT_TRUE(node_.closed(first));
  EXPECT_FALSE(node_.closed(bob.session));
  node_.pass(minutes(2));
  node_.close(bob.session);
  EXPECT_EQ(node_.counters().sleeping, 1u);
  node_.ask<proto::Attached>(alice.session, Kind::kSubmit, letter(bob, 9));
  EXPECT_EQ(node_.envelopes(), 1u);
}

TEST_P(ShardTest, AHintReachesWhoIsThereAndIsNeverStored) {
  Person alice = join(1);
  Person bob = join(2);
  const auto hint = [&] {
    node_.send(alice.session, Kind::kHint, proto::Hint{bob.user, letter(bob, 1).messages[0]});
  };
  hint();
  ASSERT_FALSE(node_.frames(bob.session).empty());
  EXPECT_EQ(node_.frames(bob.session).back().kind, Kind::kHinted);
  node_.close(bob.session);
  hint();
  EXPECT_EQ(node_.envelopes(), 0u);
  attach(bob);
  EXPECT_TRUE(node_.deliveries(bob.session).empty());
}

TEST_P(ShardTest, WhenTheStoreIsBehindSubmitsAreRefusedWithATimeToComeAgain) {
  Person alice = join(1);
  Person bob = join(2);
  node_.ask<proto::Attached>(alice.session, Kind::kSubmit, letter(bob, 1));
  node_.write_takes = limits::kOverloaded + milliseconds(1);
  node_.ask<proto::Attached>(alice.session, Kind::kSubmit, letter(bob, 2));
  node_.write_takes = {};
  // Much that waits for the store, on every shard.
  SeededEntropy strangers(11);
  for (std::size_t i = 0; i < limits::kOverloadedUses * GetParam(); ++i) {
    node_.post(alice.session, Kind::kFetchBundles, proto::FetchBundles{UserId::random(strangers)});
  }
  EXPECT_EQ(node_.counters().overloaded, 0u);
  const auto error = node_.refused(alice.session, Kind::kSubmit, letter(bob, 3));
  EXPECT_EQ(error.code, Code::kUnavailable);
  EXPECT_EQ(error.retry_after, limits::kOverloadRetry);
  EXPECT_EQ(node_.counters().overloaded, 1u);
  EXPECT_EQ(node_.deliveries(bob.session).size(), 2u);
  // It has caught up.
  node_.ask<proto::Attached>(alice.session, Kind::kSubmit, letter(bob, 3));
  EXPECT_EQ(node_.deliveries(bob.session).size(), 3u);
}

TEST_P(ShardTest, WhatManyWriteToOneAtATimeIsStoredTogether) {
  Person alice = join(1);
  Person bob = join(2);
  node_.close(bob.session);  // what is written to him is stored
  node_.pass(minutes(2));
  node_.ask<proto::Attached>(alice.session, Kind::kSubmit, letter(bob, 1));  // he is loaded
  const auto before = node_.counters().commits;
  constexpr std::uint8_t kLetters = 50;
  std::vector<std::uint64_t> asked;
  for (std::uint8_t n = 2; n < 2 + kLetters; ++n) {
    asked.push_back(node_.post(alice.session, Kind::kSubmit, letter(bob, n)));
  }
  node_.run();
  for (const std::uint64_t request : asked) {
    EXPECT_EQ(node_.answer(alice.session, request).kind, Kind::kOk);
  }
  EXPECT_LE(node_.counters().commits - before, 3u);
  attach(bob);
  EXPECT_EQ(node_.deliveries(bob.session).size(), 1u + kLetters);
}

TEST_P(ShardTest, WhileClientsWaitSubmitsAreRefusedAndTheRestGoesOn) {
  Person alice = join(1);
  Person bob = join(2);
  node_.set_behind(true);
  const auto refused = node_.refused(alice.session, Kind::kSubmit, letter(bob, 1));
  EXPECT_EQ(refused.code, Code::kUnavailable);
  EXPECT_EQ(refused.retry_after, limits::kOverloadRetry);
  node_.ask<proto::Attached>(bob.session, Kind::kPing, proto::Ping{});
  EXPECT_EQ(node_.counters().overloaded, 1u);
  node_.set_behind(false);
  node_.ask<proto::Attached>(alice.session, Kind::kSubmit, letter(bob, 1));
  EXPECT_EQ(node_.deliveries(bob.session).size(), 1u);
}

// Who is connected elsewhere must not take the time of those who are connected here.
TEST_P(ShardTest, AShardThatIsBehindRefusesWhatComesFromAnother) {
  Person alice = join(1);
  for (std::uint8_t n = 2; n < 9; ++n) {
    Person bob = join(n);
    const std::size_t owner = node_.shard_of(bob.user);
    if (owner == node_.shard_of(alice.session)) continue;
    node_.set_behind(owner, true);
    const auto refused = node_.refused(alice.session, Kind::kSubmit, letter(bob, 1));
    EXPECT_EQ(refused.code, Code::kUnavailable);
    EXPECT_EQ(refused.retry_after, limits::kOverloadRetry);
    node_.set_behind(owner, false);
    node_.ask<proto::Attached>(alice.session, Kind::kSubmit, letter(bob, 1));
  }
}

TEST_P(ShardTest, NothingWithoutAttaching) {
  Person alice = join(1);
  const SessionId stranger = node_.open({77});
  EXPECT_EQ(node_.refused(stranger, Kind::kSubmit, letter(alice, 1)).code, Code::kUnauthenticated);
  EXPECT_EQ(node_.refused(stranger, Kind::kAttach, proto::Attach{alice.user, {1}, {}}).code,
            Code::kUnauthenticated);
  EXPECT_EQ(node_.refused(stranger, Kind::kRequestCode, proto::RequestCode{"12"}).code,
            Code::kInvalid);
}

TEST_P(ShardTest, AFullMailboxIsAClearErrorThatLosesNothing) {
  Person alice = join(1);
  Person bob = join(2);
  node_.close(bob.session);
  std::size_t sent = 0;
  proto::ErrorBody error;
  while (error.code == Code{}) {
    proto::Submit submit{bob.user, {}};
    for (std::size_t i = 0; i < 10; ++i) {
      auto one = letter(bob, 0, limits::kMaxCiphertext).messages[0];
      one.parcels[0].id.octets = {static_cast<std::uint8_t>(sent),
                                  static_cast<std::uint8_t>(sent >> 8),
                                  static_cast<std::uint8_t>(i), 1};
      submit.messages.push_back(one);
    }
    node_.send(alice.session, Kind::kSubmit, submit);
    const Frame frame = node_.answer(alice.session);
    if (frame.kind == Kind::kError) error = *decode<proto::ErrorBody>(frame.body);
    else sent += 10;
  }
  EXPECT_EQ(error.code, Code::kFull);
  EXPECT_GT(error.retry_after, Duration{});
  EXPECT_EQ(node_.envelopes(), sent);
}

TEST_P(ShardTest, CourtesiesLeaveRoomForMessages) {
  Person alice = join(1);
  Person bob = join(2);
  node_.close(bob.session);
  const auto submit = [&](std::size_t n, bool courtesy) {
    proto::Submit out = letter(bob, 0, limits::kMaxCiphertext);
    out.courtesy = courtesy;
    out.messages[0].parcels[0].id.octets = {static_cast<std::uint8_t>(n),
                                            static_cast<std::uint8_t>(n >> 8), 1};
    node_.send(alice.session, Kind::kSubmit, out);
    return node_.answer(alice.session).kind == Kind::kOk;
  };
  std::size_t sent = 0;
  while (submit(sent, true)) ++sent;
  EXPECT_GT((sent + 1) * limits::kMaxCiphertext, limits::kMailboxCourtesyBytes * 9 / 10);
  for (std::size_t n = 0; n < sent * 9 / 10; ++n) ASSERT_TRUE(submit(sent + n, false)) << n;
  EXPECT_FALSE(submit(2 * sent, true));
}

TEST_P(ShardTest, RandomFramesAndMessagesDoNotHurt) {
  Person alice = join(1);
  SeededEntropy random(GetParam());
  for (int i = 0; i < 3000; ++i) {
    proto::ErrorBody raw{
        {}, std::string(random.below(40), 'x'), {static_cast<std::int64_t>(random.below(9))}, {}};
    raw.code = static_cast<Code>(random.below(256));
    const SessionId to = random.below(2) == 0 ? alice.session : node_.open({1});
    node_.send(to, static_cast<Kind>(random.below(80)), raw);
  }
  attach(alice);
  node_.ask<proto::Attached>(alice.session, Kind::kPing, proto::Ping{});
}

}  // namespace
}  // namespace godwit::server
