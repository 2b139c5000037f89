#include "server/mailbox.h"

#include <gtest/gtest.h>

#include "ports/memory_store.h"

namespace godwit::server {
namespace {

constexpr SessionAddress kSession{{0}, {1}};

class MailboxTest : public testing::Test {
 protected:
  proto::Envelope envelope(std::uint8_t n, std::size_t size = 10) {
    proto::Envelope e;
    e.id.octets[0] = n;
    e.id.octets[1] = 1;
    e.ciphertext = Bytes(size, n);
    return e;
  }
  bool enqueue(std::uint8_t n, std::size_t size = 10) {
    const bool fresh = mailbox_.enqueue(envelope(n, size), sequences_, batch_, push_);
    flush();
    return fresh;
  }
  void flush() {
    ASSERT_TRUE(store_.write({&batch_, 1}, ports::Durability::kSafe));
    batch_.mutations.clear();
  }
  // Reads pages until the window closes or the mailbox is caught up.
  void read_on() {
    while (auto scan = mailbox_.next_page()) {
      scan->partition = batch_.partition;
      mailbox_.on_page(store_.scan(*scan).value(), batch_, push_);
      flush();
    }
  }
  std::vector<int> pushed() {
    std::vector<int> out;
    for (const auto& delivery : push_) out.push_back(delivery.envelope.id.octets[0]);
    return out;
  }
  std::uint64_t rows() { return store_.count(ports::Space::kQueue).value(); }

  ports::MemoryStore store_;
  ports::Batch batch_{{1}, {}};
  std::vector<proto::Delivery> push_;
  SequenceSource sequences_{1};
  Mailbox mailbox_{{1}, {}};
};

TEST_F(MailboxTest, OfflineEnvelopesWaitAndAreErasedWhenAcknowledged) {
  for (std::uint8_t n = 1; n <= 3; ++n) EXPECT_TRUE(enqueue(n));
  EXPECT_TRUE(push_.empty());
  EXPECT_EQ(rows(), 3u);
  mailbox_.attach(kSession, 1, {});
  read_on();
  EXPECT_EQ(pushed(), (std::vector{1, 2, 3}));
  EXPECT_EQ(rows(), 3u);
  EXPECT_EQ(mailbox_.acknowledge(push_[1].sequence, batch_), 2u);
  flush();
  EXPECT_EQ(rows(), 1u);
  EXPECT_EQ(mailbox_.stock().envelopes, 1u);
}

TEST_F(MailboxTest, CaughtUpDeviceIsPushedAtOnce) {
  mailbox_.attach(kSession, 1, {});
  read_on();
  enqueue(7);
  EXPECT_EQ(pushed(), (std::vector{7}));
  EXPECT_EQ(rows(), 1u);
}

TEST_F(MailboxTest, AnEmptiedMailboxIsCaughtUpAfterOnePage) {
  mailbox_.attach(kSession, 1, {});
  read_on();
  enqueue(1);
  mailbox_.acknowledge(push_.back().sequence, batch_);
  flush();
  mailbox_.attach({{0}, {2}}, 2, push_.back().sequence);
  auto scan = mailbox_.next_page();
  ASSERT_TRUE(scan);
  mailbox_.on_page({}, batch_, push_);
  EXPECT_FALSE(mailbox_.next_page());
  enqueue(2);
  EXPECT_EQ(pushed(), (std::vector{1, 2}));
}

TEST_F(MailboxTest, AnEnvelopeIdIsStoredOnce) {
  EXPECT_TRUE(enqueue(1));
  EXPECT_FALSE(enqueue(1));
  EXPECT_EQ(rows(), 1u);
}

TEST_F(MailboxTest, WhatArrivesBetweenPageAndItsRowsIsNotSkipped) {
  enqueue(1);
  mailbox_.attach(kSession, 1, {});
  auto scan = mailbox_.next_page();
  scan->partition = batch_.partition;
  const auto rows = store_.scan(*scan).value();
  enqueue(2);  // after the scan, before its rows are told
  mailbox_.on_page(rows, batch_, push_);
  read_on();
  EXPECT_EQ(pushed(), (std::vector{1, 2}));
}

TEST_F(MailboxTest, TheWindowHoldsBackAndOpensAgain) {
  const std::size_t total = limits::kDeliverWindow + 100;
  mailbox_.attach(kSession, 1, {});
  read_on();
  for (std::size_t i = 0; i < total; ++i) {
    proto::Envelope e = envelope(0);
    e.id.octets[2] = static_cast<std::uint8_t>(i);
    e.id.octets[3] = static_cast<std::uint8_t>(i >> 8);
    mailbox_.enqueue(e, sequences_, batch_, push_);
  }
  flush();
  EXPECT_EQ(push_.size(), limits::kDeliverWindow);
  EXPECT_FALSE(mailbox_.next_page());
  mailbox_.acknowledge(push_.back().sequence, batch_);
  flush();
  read_on();
  EXPECT_EQ(push_.size(), total);
  for (std::size_t i = 1; i < push_.size(); ++i) {
    EXPECT_LT(push_[i - 1].sequence, push_[i].sequence);
  }
}

TEST_F(MailboxTest, ACursorThatTheServerMissedErasesOnAttach) {
  for (std::uint8_t n = 1; n <= 3; ++n) enqueue(n);
  mailbox_.attach(kSession, 1, {});
  read_on();
  const Sequence second = push_[1].sequence;
  push_.clear();
  mailbox_.attach({{0}, {2}}, 2, second);
  read_on();
  EXPECT_EQ(pushed(), (std::vector{3}));
  EXPECT_EQ(rows(), 1u);
}

TEST_F(MailboxTest, AnEmptiedAndRestoredMailboxDoesNotReuseSequences) {
  mailbox_.attach(kSession, 1, {});
  read_on();
  enqueue(1);
  const Sequence first = push_.back().sequence;
  mailbox_.acknowledge(first, batch_);
  flush();
  mailbox_ = Mailbox({1}, mailbox_.stock());  // forgotten and loaded within the epoch
  enqueue(2);
  SequenceSource restarted(2);
  sequences_ = restarted;
  mailbox_ = Mailbox({1}, mailbox_.stock());
  enqueue(3);
  push_.clear();
  mailbox_.attach(kSession, 2, first);
  read_on();
  ASSERT_EQ(pushed(), (std::vector{2, 3}));
  EXPECT_LT(first, push_[0].sequence);
  EXPECT_LT(push_[0].sequence, push_[1].sequence);
}

TEST_F(MailboxTest, BoundedByCountAndBytes) {
  EXPECT_TRUE(mailbox_.has_room(limits::kMailboxEnvelopes, 0));
  EXPECT_FALSE(mailbox_.has_room(limits::kMailboxEnvelopes + 1, 0));
  EXPECT_FALSE(mailbox_.has_room(1, limits::kMailboxBytes + 1));
  EXPECT_TRUE(mailbox_.has_room(limits::kMailboxCourtesyEnvelopes, 0, true));
  EXPECT_FALSE(mailbox_.has_room(limits::kMailboxCourtesyEnvelopes + 1, 0, true));
  EXPECT_FALSE(mailbox_.has_room(1, limits::kMailboxCourtesyBytes + 1, true));
  enqueue(1);
  EXPECT_FALSE(mailbox_.has_room(limits::kMailboxEnvelopes, 0));
}

TEST_F(MailboxTest, ACorruptRowDoesNotBlockTheOthers) {
  enqueue(1);
  enqueue(2);
  auto scan = *[&] {
    mailbox_.attach(kSession, 1, {});
    return mailbox_.next_page();
  }();
  scan.partition = batch_.partition;
  auto rows = store_.scan(scan).value();
  rows[0].value = {0xFF};
  mailbox_.on_page(rows, batch_, push_);
  EXPECT_EQ(pushed(), (std::vector{2}));
}

}  // namespace
}  // namespace godwit::server
