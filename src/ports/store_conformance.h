// The one test suite of every Store. A test program includes it once and names its stores:
//
//     INSTANTIATE_TEST_SUITE_P(Memory, StoreConformance, testing::Values(StoreUnderTest{…}));
//
// For test programs only.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <thread>

#include "base/limits.h"
#include "ports/memory_store.h"

namespace godwit::ports {

// One store on its own medium (a directory, a file), which outlives close and open.
class StoreMedium {
 public:
  virtual ~StoreMedium() = default;
  // Closes the store if it is open, then opens it again on the same rows.
  virtual Store& reopen() = 0;
};

struct StoreUnderTest {
  std::function<std::unique_ptr<StoreMedium>()> make;
  Space space;  // two that the store has
  Space other_space;
  bool concurrent = true;  // false: for one thread only
};

class StoreConformance : public testing::TestWithParam<StoreUnderTest> {
 protected:
  void SetUp() override {
    medium_ = GetParam().make();
    store_ = &medium_->reopen();
    store_->set_now(Instant{1000});
  }
  void reopen() {
    store_ = &medium_->reopen();
    store_->set_now(Instant{1000});
  }

  const Space space_ = GetParam().space;
  const Space other_ = GetParam().other_space;
  const Bytes partition_ = to_bytes("alice");

  Batch batch() const { return {partition_, {}}; }
  void write(const Batch& batch, Durability durability = Durability::kFast) {
    const auto written = store_->write({&batch, 1}, durability);
    ASSERT_TRUE(written) << written.error().text;
  }
  void put(const Bytes& partition, std::string_view key, std::string_view value,
           Instant expires = kNever) {
    Batch one{partition, {}};
    one.put(space_, to_bytes(key), to_bytes(value), expires);
    write(one);
  }
  std::vector<Row> scan(const Scan& scan) {
    auto rows = store_->scan(scan);
    EXPECT_TRUE(rows) << rows.error().text;
    return rows ? std::move(*rows) : std::vector<Row>{};
  }
  // The keys that a scan finds, joined by spaces.
  std::string keys(const Scan& of) {
    std::string joined;
    for (const Row& row : scan(of)) {
      if (!joined.empty()) joined += ' ';
      joined += text_of(row.key);
    }
    return joined;
  }
  std::string all_keys() { return keys({partition_, space_, {}, {}}); }
  std::uint64_t count(Space space) {
    const auto rows = store_->count(space);
    EXPECT_TRUE(rows);
    return rows.value_or(~0ULL);
  }

  std::unique_ptr<StoreMedium> medium_;
  Store* store_ = nullptr;
};

// Keys, partitions and values chosen to be mistaken for one another.
inline const std::vector<Bytes>& unusual_octets() {
  static const std::vector<Bytes> all = {
      {},           {0x00},       {0x00, 0x00}, {0x01},       {0x61},
      {0x61, 0x00}, {0x61, 0x62}, {0x61, 0xff}, {0xff},       {0xff, 0xff},
      {0x01, 0x61}, {0x02, 0x61}, {0x27},       {0xc3, 0x28}, Bytes(limits::kMaxPartition, 0xff)};
  return all;
}

TEST_P(StoreConformance, AnEmptyStoreHasNothing) {
  EXPECT_EQ(all_keys(), "");
  EXPECT_EQ(count(space_), 0U);
  EXPECT_EQ(store_->get(partition_, space_, view_of("a")).error().code, Code::kNotFound);
}

TEST_P(StoreConformance, WhatWasPutIsFoundAndReplaced) {
  put(partition_, "a", "one");
  put(partition_, "a", "two");
  const auto row = store_->get(partition_, space_, view_of("a"));
  ASSERT_TRUE(row);
  EXPECT_EQ(text_of(row->value), "two");
  EXPECT_EQ(row->expires, kNever);
  EXPECT_EQ(count(space_), 1U);
  EXPECT_EQ(count(other_), 0U);
}

TEST_P(StoreConformance, RangesAreHalfOpenAndBounded) {
  for (const char* key : {"d", "b", "a", "e", "c"}) put(partition_, key, key);
  EXPECT_EQ(all_keys(), "a b c d e");
  const Scan middle{partition_, space_, to_bytes("b"), to_bytes("d")};
  EXPECT_EQ(keys(middle), "b c");
  EXPECT_EQ(keys({partition_, space_, to_bytes("bb"), {}}), "c d e");
  EXPECT_EQ(keys({partition_, space_, {}, {}, 2}), "a b");
  EXPECT_EQ(keys({partition_, space_, {}, {}, 2, true}), "e d");
  EXPECT_EQ(keys({partition_, space_, to_bytes("b"), to_bytes("d"), 9, true}), "c b");
  EXPECT_EQ(keys({partition_, space_, {}, {}, 0}), "");
  EXPECT_EQ(keys({partition_, space_, to_bytes("d"), to_bytes("b")}), "");
}

TEST_P(StoreConformance, MutationsOfABatchApplyInOrder) {
  Batch first = batch();
  first.put(space_, to_bytes("a"), to_bytes("1"));
  first.put(space_, to_bytes("b"), to_bytes("1"));
  first.erase_range(space_, to_bytes("a"), to_bytes("b"));
  first.put(space_, to_bytes("c"), to_bytes("1"));
  first.erase(space_, to_bytes("c"));
  first.put(space_, to_bytes("c"), to_bytes("2"));
  first.put(other_, to_bytes("a"), to_bytes("3"));
  write(first);
  EXPECT_EQ(all_keys(), "b c");
  EXPECT_EQ(text_of(store_->get(partition_, space_, view_of("c"))->value), "2");
  EXPECT_EQ(count(other_), 1U);
}

TEST_P(StoreConformance, EraseRangeStaysInItsPartitionAndSpace) {
  const Bytes longer = {'a', 'l', 'i', 'c', 'e', 0}, shorter = to_bytes("alic"),
              next = to_bytes("alicf");
  for (const Bytes& partition : {partition_, longer, shorter, next}) put(partition, "k", "v");
  Batch elsewhere = batch();
  elsewhere.put(other_, to_bytes("k"), to_bytes("v"));
  write(elsewhere);
  Batch erase = batch();
  erase.erase_range(space_, {}, {});
  write(erase);
  EXPECT_EQ(all_keys(), "");
  EXPECT_EQ(count(space_), 3U);
  EXPECT_EQ(count(other_), 1U);
}

TEST_P(StoreConformance, PartitionsAreListedOnceEach) {
  const Bytes longer = {'a', 'l', 'i', 'c', 'e', 0};
  for (const Bytes& partition : {to_bytes("bob"), longer, to_bytes("alice")}) {
    for (const char* key : {"1", "2"}) put(partition, key, "v");
  }
  Batch elsewhere{to_bytes("carol"), {}};
  elsewhere.put(other_, to_bytes("k"), to_bytes("v"));
  elsewhere.put(space_, to_bytes("k"), to_bytes("v"), Instant{1});
  write(elsewhere);
  store_->set_now(Instant{1});
  const auto listed = [&](Bytes first, Bytes end) {
    std::set<Bytes> out;
    Scan scan{{}, space_, std::move(first), std::move(end)};
    scan.partitions = true;
    const auto rows = store_->scan(scan);
    EXPECT_TRUE(rows);
    if (!rows) return out;
    for (const Row& row : *rows) EXPECT_TRUE(out.insert(row.key).second);
    return out;
  };
  EXPECT_EQ(listed({}, {}), (std::set<Bytes>{to_bytes("alice"), longer, to_bytes("bob")}));
  EXPECT_EQ(listed(longer, to_bytes("bob")), (std::set<Bytes>{longer}));
}

TEST_P(StoreConformance, ErasingWhatIsNotThereIsNoError) {
  Batch erase = batch();
  erase.erase(space_, to_bytes("none"));
  erase.erase_range(space_, to_bytes("z"), to_bytes("a"));
  write(erase);
  write(batch());
  EXPECT_TRUE(store_->write({}, Durability::kSafe));
}

TEST_P(StoreConformance, UnusualOctetsAreKeptApart) {
  for (const Bytes& partition : unusual_octets()) {
    Batch rows{partition, {}};
    for (const Bytes& key : unusual_octets()) {
      Bytes value = partition;
      append(value, key);
      rows.put(space_, key, value);
    }
    write(rows);
  }
  std::vector<Bytes> sorted = unusual_octets();
  std::ranges::sort(sorted);
  for (const Bytes& partition : unusual_octets()) {
    const auto rows = scan({partition, space_, {}, {}});
    ASSERT_EQ(rows.size(), sorted.size());
    for (std::size_t i = 0; i < rows.size(); ++i) {
      Bytes value = partition;
      append(value, sorted[i]);
      EXPECT_EQ(rows[i].key, sorted[i]);
      EXPECT_EQ(rows[i].value, value);
    }
  }
}

TEST_P(StoreConformance, LargeRowsAreWholeAndTooLargeOnesRefused) {
  const Bytes megabyte(1024 * 1024, 0xa5), longest_key(limits::kMaxKey, 0xff);
  Batch large = batch();
  large.put(space_, longest_key, megabyte);
  large.put(space_, {}, {});
  write(large, Durability::kSafe);
  reopen();
  EXPECT_EQ(store_->get(partition_, space_, longest_key)->value, megabyte);
  EXPECT_EQ(store_->get(partition_, space_, {})->value, Bytes{});

  std::vector<Batch> refused(4, batch());
  refused[0].put(space_, to_bytes("fits"), {});
  refused[1].put(space_, Bytes(limits::kMaxKey + 1), {});
  refused[2].put(space_, to_bytes("value"), Bytes(limits::kMaxValue + 1));
  refused[3].partition.resize(limits::kMaxPartition + 1);
  for (std::size_t bad = 1; bad < refused.size(); ++bad) {
    const Batch pair[] = {refused[0], refused[bad]};
    EXPECT_EQ(store_->write(pair, Durability::kFast).error().code, Code::kTooLarge);
  }
  EXPECT_EQ(count(space_), 2U);
}

TEST_P(StoreConformance, ExpiredRowsAreHiddenThenRemoved) {
  put(partition_, "a", "v", Instant{1000});
  put(partition_, "b", "v", Instant{1001});
  put(partition_, "c", "v", Instant{2000});
  put(partition_, "d", "v");
  EXPECT_EQ(all_keys(), "b c d");
  EXPECT_EQ(scan({partition_, space_, {}, {}, 1})[0].expires, Instant{1001});
  store_->set_now(Instant{1001});
  EXPECT_EQ(all_keys(), "c d");
  EXPECT_EQ(keys({partition_, space_, {}, {}, 1}), "c") << "expired rows count against no limit";
  EXPECT_EQ(keys({partition_, space_, {}, to_bytes("c"), 1, true}), "");
  EXPECT_EQ(count(space_), 2U);
  EXPECT_FALSE(store_->get(partition_, space_, view_of("a")));

  ASSERT_TRUE(store_->expire(Instant{1001}));
  store_->set_now(Instant{0});
  EXPECT_EQ(all_keys(), "c d") << "expire() removed the others for good";
  put(partition_, "c", "v");
  ASSERT_TRUE(store_->expire(Instant{5000}));
  store_->set_now(Instant{5000});
  EXPECT_EQ(all_keys(), "c d") << "a row put again has its new expiry";
}

TEST_P(StoreConformance, SafeWritesSurviveReopening) {
  std::vector<Batch> many;
  for (int i = 0; i < 50; ++i) {
    Batch one{to_bytes(std::to_string(i)), {}};
    one.put(space_, to_bytes("k"), to_bytes("v"), Instant{2000});
    one.put(other_, to_bytes("k"), to_bytes("v"));
    many.push_back(std::move(one));
  }
  put(partition_, "fast", "v");
  ASSERT_TRUE(store_->write(many, Durability::kSafe));
  reopen();
  EXPECT_EQ(count(space_), 51U);
  EXPECT_EQ(count(other_), 50U);
  EXPECT_EQ(store_->get(to_bytes("7"), space_, view_of("k"))->expires, Instant{2000});
}

// The store against the one that is simple enough to be right.
TEST_P(StoreConformance, AgreesWithTheMemoryStoreOnRandomWork) {
  MemoryStore model;
  model.set_now(Instant{1000});
  SeededEntropy entropy(7);
  const auto& octets = unusual_octets();
  const auto some = [&] { return octets[entropy.below(octets.size())]; };
  const auto near_now = [&] {
    return Instant{900 + static_cast<std::int64_t>(entropy.below(200))};
  };
  for (int step = 0; step < 600; ++step) {
    Batch batch{octets[entropy.below(4)], {}};
    for (std::uint64_t i = entropy.below(4); i > 0; --i) {
      const Space space = entropy.below(2) == 0 ? space_ : other_;
      switch (entropy.below(8)) {
        case 0: batch.erase_range(space, some(), some()); break;
        case 1:
        case 2: batch.erase(space, some()); break;
        case 3: batch.put(space, some(), some(), near_now()); break;
        default: batch.put(space, some(), some()); break;
      }
    }
    write(batch, entropy.below(100) == 0 ? Durability::kSafe : Durability::kFast);
    ASSERT_TRUE(model.write({&batch, 1}, Durability::kFast));
    Scan range{octets[entropy.below(4)], space_, some(), some()};
    range.limit = entropy.below(2) == 0 ? SIZE_MAX : static_cast<std::size_t>(entropy.below(5));
    range.reverse = entropy.below(2) == 0;
    ASSERT_EQ(scan(range), *model.scan(range)) << "step " << step;
    if (step % 200 == 150) reopen();
    if (step % 200 == 199) {
      ASSERT_TRUE(store_->expire(Instant{1000}));
      ASSERT_TRUE(model.expire(Instant{1000}));
    }
  }
  EXPECT_EQ(count(space_), *model.count(space_));
  EXPECT_EQ(count(other_), *model.count(other_));
}

TEST_P(StoreConformance, ManyThreadsMayCall) {
  if (!GetParam().concurrent) GTEST_SKIP() << "this store is for one thread";
  constexpr int kThreads = 4, kRows = 50;
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([this, t] {
      const Bytes mine = to_bytes(std::to_string(t));
      for (int i = 0; i < kRows; ++i) {
        Batch pair{mine, {}};
        pair.put(space_, to_bytes("a" + std::to_string(i)), {});
        pair.put(space_, to_bytes("b" + std::to_string(i)), {});
        EXPECT_TRUE(store_->write({&pair, 1}, Durability::kFast));
        const auto rows = store_->scan({mine, space_, {}, {}});
        EXPECT_TRUE(rows && rows->size() == 2U * static_cast<std::size_t>(i + 1));
        const auto theirs =
            store_->scan({to_bytes(std::to_string((t + 1) % kThreads)), space_, {}, {}});
        EXPECT_TRUE(theirs && theirs->size() % 2 == 0) << "a batch is seen whole or not at all";
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(count(space_), 2ULL * kThreads * kRows);
}

}  // namespace godwit::ports
