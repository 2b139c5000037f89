#include "ports/memory_store.h"

#include "ports/faulty_store.h"
#include "ports/search_conformance.h"
#include "ports/store_conformance.h"

namespace godwit::ports {
namespace {

template <typename T>
struct Held final : StoreMedium {
  T store;
  Store& reopen() override { return store; }
};
template <typename T>
StoreUnderTest in_memory() {
  return {[] { return std::make_unique<Held<T>>(); }, Space::kQueue, Space::kAccount, false};
}

INSTANTIATE_TEST_SUITE_P(Memory, StoreConformance, testing::Values(in_memory<MemoryStore>()));
INSTANTIATE_TEST_SUITE_P(Faulty, StoreConformance, testing::Values(in_memory<FaultyStore>()));

Batch row(std::string_view key) {
  Batch batch{to_bytes("p"), {}};
  batch.put(Space::kQueue, to_bytes(key), {});
  return batch;
}

TEST(FaultyStore, AFailedWriteIsAbsentOrApplied) {
  FaultyStore store;
  store.fail_next_write(FaultyStore::Outcome::kAbsent);
  EXPECT_EQ(store.write(std::vector{row("a")}, Durability::kSafe).error().code, Code::kIo);
  EXPECT_EQ(*store.count(Space::kQueue), 0U);
  store.fail_next_write(FaultyStore::Outcome::kApplied);
  EXPECT_FALSE(store.write(std::vector{row("a")}, Durability::kSafe));
  EXPECT_TRUE(store.write(std::vector{row("b")}, Durability::kSafe));
  store.crash();
  EXPECT_EQ(*store.count(Space::kQueue), 2U);
}

TEST(FaultyStore, ACrashLosesWhatWasNotSynced) {
  FaultyStore store;
  EXPECT_TRUE(store.write(std::vector{row("a")}, Durability::kFast));
  EXPECT_TRUE(store.write(std::vector{row("b")}, Durability::kSafe));
  for (const char* key : {"c", "d", "e"}) {
    EXPECT_TRUE(store.write(std::vector{row(key)}, Durability::kFast));
  }
  EXPECT_EQ(store.unsynced_writes(), 3U);
  store.crash(1);
  EXPECT_EQ(*store.count(Space::kQueue), 3U);
  EXPECT_TRUE(store.get(view_of("p"), Space::kQueue, view_of("c")));
}

TEST(MemoryStore, FindsWords) {
  MemoryStore store;
  expect_search_works(store);
}

TEST(FaultyStore, AFullDiskTakesNothing) {
  FaultyStore store;
  store.set_full(true);
  EXPECT_EQ(store.write(std::vector{row("a")}, Durability::kFast).error().code, Code::kFull);
  store.set_full(false);
  EXPECT_TRUE(store.write(std::vector{row("b")}, Durability::kFast));
  EXPECT_EQ(*store.count(Space::kQueue), 1U);
}

}  // namespace
}  // namespace godwit::ports
