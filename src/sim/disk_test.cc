#include "sim/disk.h"

#include <gtest/gtest.h>

namespace godwit::sim {
namespace {

ports::Batch one_row(std::uint8_t key) {
  ports::Batch batch{to_bytes("p"), {}};
  batch.put(ports::Space::kMeta, {key}, {});
  return batch;
}

class DiskTest : public testing::Test {
 protected:
  void write(std::uint8_t key) {
    disk.write(0, one_row(key),
               [this](Result<void> result) { reports.push_back(result.has_value()); });
  }
  void run() {
    while (timeline.step(Instant{1'000'000})) {
    }
  }
  std::uint64_t rows() { return *disk.rows().count(ports::Space::kMeta); }

  Timeline timeline{Instant{0}};
  SeededEntropy luck{1};
  Disk disk{timeline, luck};
  std::vector<bool> reports;
};

TEST_F(DiskTest, WhatIsReportedIsThereAfterACrash) {
  write(1);
  run();
  EXPECT_EQ(reports, std::vector<bool>{true});
  disk.crash();
  EXPECT_EQ(rows(), 1u);
}

TEST_F(DiskTest, ACrashLeavesAPrefixAndTellsNobody) {
  bool lost = false;
  bool kept = false;
  for (std::uint8_t i = 0; i < 40; ++i) {
    const std::uint64_t before = rows();
    write(i);
    disk.crash();
    run();
    (rows() > before ? kept : lost) = true;
  }
  EXPECT_TRUE(lost);
  EXPECT_TRUE(kept);
  EXPECT_TRUE(reports.empty());
}

TEST_F(DiskTest, AFailingWriteIsAbsentOrThere) {
  disk.set_weather({.failing = 1000});
  for (std::uint8_t i = 0; i < 40; ++i) write(i);
  run();
  EXPECT_EQ(reports, std::vector<bool>(40, false));
  EXPECT_GT(rows(), 5u);
  EXPECT_LT(rows(), 35u);
}

TEST_F(DiskTest, AFullDiskStoresNothing) {
  disk.set_weather({.full = true});
  write(1);
  run();
  EXPECT_EQ(reports, std::vector<bool>{false});
  EXPECT_EQ(rows(), 0u);
}

TEST_F(DiskTest, AReadSeesTheWritesBeforeIt) {
  std::size_t found = 0;
  write(1);
  disk.read(0, {.partition = to_bytes("p"), .space = ports::Space::kMeta},
            [&](Result<std::vector<ports::Row>> rows) { found = rows->size(); });
  write(2);
  run();
  EXPECT_EQ(found, 1u);
}

}  // namespace
}  // namespace godwit::sim
