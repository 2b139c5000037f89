// Each checker finds what it is there for, and leaves alone what is right.
#include "sim/checkers.h"

#include <gtest/gtest.h>

namespace godwit::sim {
namespace {

const TextId kFirst{0, 0, 1, 1};
const TextId kSecond{0, 0, 1, 2};
const Viewer kReader{1, 0};

std::string broken(const Verdict& verdict) {
  return verdict.good() ? "" : verdict.first()->checker;
}

TEST(CanaryTest, TextsAreReadBackAndDamageIsSeen) {
  std::string text = write_text({3, 1, 2, 77}, 500);
  EXPECT_GE(text.size(), 500u);
  EXPECT_EQ(read_text(text), (TextId{3, 1, 2, 77}));
  text.back() ^= 1;
  EXPECT_EQ(read_text(text), std::nullopt);
  EXPECT_EQ(read_text("hello"), std::nullopt);
}

TEST(NeverLostTest, WhatWasComposedMustBeShown) {
  NeverLost checker;
  Verdict verdict;
  checker.composed(kFirst);
  EXPECT_FALSE(checker.complete());
  checker.shown(kFirst);
  EXPECT_TRUE(checker.complete());
  checker.check_at_end(verdict);
  EXPECT_TRUE(verdict.good());
  checker.accepted(kSecond);
  checker.check_at_end(verdict);
  EXPECT_EQ(broken(verdict), "never_lost");
}

TEST(NeverLostTest, ANewPhoneForgivesWhatOnlyTheOldOneHeld) {
  NeverLost checker;
  Verdict verdict;
  checker.composed(kFirst);
  checker.reinstalled(1);
  checker.check_at_end(verdict);
  EXPECT_TRUE(verdict.good());
  checker.composed(kSecond);
  checker.accepted(kSecond);
  checker.reinstalled(0);  // the sender: what the server has is not lost with the phone
  checker.check_at_end(verdict);
  EXPECT_EQ(broken(verdict), "never_lost");
}

TEST(NeverLostTest, ABackupForgivesWhatWasWrittenAfterIt) {
  const auto life = [](bool accepted, const std::vector<TextId>& kept, int injuries) {
    NeverLost checker;
    checker.composed(kFirst);
    if (accepted) checker.accepted(kFirst);
    for (int i = 0; i < injuries; ++i) checker.injured();
    checker.restored(kFirst.from, kept);
    Verdict one;
    checker.check_at_end(one);
    return broken(one);
  };
  EXPECT_EQ(life(false, {}, 1), "");
  EXPECT_EQ(life(false, {kFirst}, 1), "never_lost") << "the backup holds it";
  EXPECT_EQ(life(true, {}, 1), "never_lost") << "the server holds it";
  EXPECT_EQ(life(true, {}, 2), "") << "nobody is left who could repeat it";
  EXPECT_EQ(life(true, {kFirst}, 2), "never_lost");
}

TEST(ShownOnceTest, TwiceIsOnceTooOften) {
  ShownOnce checker;
  Verdict verdict;
  checker.notified(kReader, kFirst, verdict);
  checker.notified({1, 1}, kFirst, verdict);
  checker.history(kReader, {kFirst, kSecond}, verdict);
  EXPECT_TRUE(verdict.good());
  checker.notified(kReader, kFirst, verdict);
  EXPECT_EQ(broken(verdict), "shown_once");
  Verdict again;
  checker.history(kReader, {kFirst, kFirst}, again);
  EXPECT_EQ(broken(again), "shown_once");
}

TEST(ShownOnceTest, WhatWasToldIsStored) {
  ShownOnce checker;
  Verdict verdict;
  checker.notified(kReader, kFirst, verdict);
  checker.history(kReader, {kSecond}, verdict);
  EXPECT_EQ(broken(verdict), "shown_once");
}

TEST(SenderOrderTest, AscendingPerSender) {
  SenderOrder checker;
  Verdict verdict;
  checker.notified(kReader, kSecond, verdict);
  checker.notified(kReader, {2, 0, 1, 1}, verdict);  // somebody else
  checker.notified(kReader, {0, 1, 1, 1}, verdict);  // the sender's new phone
  EXPECT_TRUE(verdict.good());
  checker.history(kReader, {kSecond, kFirst}, verdict);
  EXPECT_EQ(broken(verdict), "sender_order");
}

TEST(ReceiptsForwardTest, NeverBack) {
  ReceiptsForward checker;
  Verdict verdict;
  const MessageId id{{1}};
  checker.seen(kReader, id, {}, client::Status::kSent, verdict);
  checker.seen(kReader, id, {}, client::Status::kRead, verdict);
  checker.stored(kReader, id, client::Status::kRead, verdict);
  EXPECT_TRUE(verdict.good());
  Verdict stored;
  checker.stored(kReader, id, client::Status::kDelivered, stored);
  EXPECT_EQ(broken(stored), "receipts_forward");
  checker.seen(kReader, id, {}, client::Status::kDelivered, verdict);
  EXPECT_EQ(broken(verdict), "receipts_forward");
}

TEST(ReceiptsForwardTest, NeverBackWithAMemberOfAGroup) {
  ReceiptsForward checker;
  Verdict verdict;
  const MessageId id{{1}};
  checker.seen(kReader, id, {{2}}, client::Status::kRead, verdict);
  checker.seen(kReader, id, {{2}}, client::Status::kRead, verdict);
  checker.seen(kReader, id, {{3}}, client::Status::kDelivered, verdict);
  EXPECT_TRUE(verdict.good());
  checker.seen(kReader, id, {{2}}, client::Status::kDelivered, verdict);
  EXPECT_EQ(broken(verdict), "receipts_forward");
}

TEST(PrekeyOnceTest, TheSameKeyTwice) {
  PrekeyOnce checker;
  Verdict verdict;
  proto::Bundle bundle;
  bundle.kem_prekey = {9, Bytes(1569, 9), {}};
  checker.offered_for_good(bundle.kem_prekey);
  checker.handed_out(bundle, verdict);
  checker.handed_out(bundle, verdict);  // without a one-time prekey
  bundle.one_time_prekey = proto::OneTimePrekey{7, Bytes(33, 1)};
  checker.handed_out(bundle, verdict);
  EXPECT_TRUE(verdict.good());
  checker.handed_out(bundle, verdict);
  EXPECT_EQ(broken(verdict), "prekey_once");

  Verdict another;
  bundle = {};
  bundle.kem_prekey = {1, Bytes(1569, 1), {}};
  checker.handed_out(bundle, another);
  EXPECT_TRUE(another.good());
  checker.handed_out(bundle, another);
  EXPECT_EQ(broken(another), "prekey_once");
}

proto::Delivery delivery(std::uint64_t sequence, std::uint8_t id) {
  proto::Delivery one;
  one.sequence = {sequence};
  one.envelope.id = EnvelopeId{{id}};
  return one;
}

TEST(SequencesIncreaseTest, RedeliveryIsNoReuse) {
  SequencesIncrease checker;
  Verdict verdict;
  checker.delivered(1, {}, delivery(5, 1), verdict);
  checker.delivered(2, {}, delivery(5, 1), verdict);
  EXPECT_TRUE(verdict.good());
  checker.acknowledged({}, {5});
  EXPECT_TRUE(checker.has(EnvelopeId{{1}}));
  checker.delivered(3, {}, delivery(5, 2), verdict);
  EXPECT_EQ(broken(verdict), "sequences_increase");
  Verdict back;
  checker.delivered(2, {}, delivery(4, 3), back);
  EXPECT_EQ(broken(back), "sequences_increase");
}

TEST(AcceptedIsStoredTest, OnDiskOrOnTheDevice) {
  ports::MemoryStore rows;
  SequencesIncrease mailboxes;
  proto::Submit submit;
  submit.messages.push_back({{proto::Parcel{EnvelopeId{{9, 8, 7}}, {1}, 1, {}, {}}}});
  Verdict nowhere;
  check_accepted_is_stored(submit, rows, mailboxes, nowhere);
  EXPECT_EQ(broken(nowhere), "accepted_is_stored");

  mailboxes.delivered(1, {}, {{3}, proto::Envelope{EnvelopeId{{9, 8, 7}}, {}, {}, {}, {}, {}}},
                      nowhere);
  mailboxes.acknowledged({}, {3});
  Verdict on_device;
  check_accepted_is_stored(submit, rows, mailboxes, on_device);
  EXPECT_TRUE(on_device.good());

  ports::Batch batch{to_bytes("user"), {}};
  batch.put(ports::Space::kQueue, {1},
            encode(proto::Envelope{EnvelopeId{{9, 8, 7}}, {}, {}, {}, {}, {}}));
  ASSERT_TRUE(rows.write(std::span(&batch, 1), ports::Durability::kSafe));
  Verdict on_disk;
  check_accepted_is_stored(submit, rows, {}, on_disk);
  EXPECT_TRUE(on_disk.good());
}

TEST(NoPlaintextTest, TextsAnywhereAndNumbersInRows) {
  NoPlaintext checker;
  checker.person("+33612345678");
  Verdict verdict;
  checker.octets(view_of("call +33612345678"), verdict);  // a frame must name it
  EXPECT_TRUE(verdict.good());
  checker.octets(view_of("xx" + write_text(kFirst, 0)), verdict);
  EXPECT_EQ(broken(verdict), "no_plaintext");
  Verdict row;
  ports::Batch batch{to_bytes("user"), {}};
  batch.put(ports::Space::kDirectory, to_bytes("+33612345678"), {});
  checker.row(batch, row);
  EXPECT_EQ(broken(row), "no_plaintext");
}

TEST(BoundedRetentionTest, EnvelopesExpire) {
  const Instant now{1000};
  Verdict verdict;
  ports::Batch batch{to_bytes("user"), {}};
  batch.put(ports::Space::kQueue, {1}, {}, now + limits::kMailboxRetention);
  batch.put(ports::Space::kAccount, {1}, {});
  check_bounded_retention(batch, now, verdict);
  EXPECT_TRUE(verdict.good());
  batch.put(ports::Space::kQueue, {2}, {});
  check_bounded_retention(batch, now, verdict);
  EXPECT_EQ(broken(verdict), "bounded_retention");
}

}  // namespace
}  // namespace godwit::sim
