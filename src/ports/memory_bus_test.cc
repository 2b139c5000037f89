#include "ports/memory_bus.h"

#include <algorithm>
#include <map>

#include "ports/bus_conformance.h"

namespace godwit::ports {
namespace {

struct MemoryBench final : BusBench {
  MemoryBus memory;
  std::map<ShardId, std::vector<Bytes>> inbox;

  Bus& bus() override { return memory; }
  std::vector<Bytes> arrived(ShardId shard) override {
    while (auto message = memory.take()) inbox[message->to].push_back(std::move(message->octets));
    return std::exchange(inbox[shard], {});
  }
};
INSTANTIATE_TEST_SUITE_P(Memory, BusConformance,
                         testing::Values([] { return std::make_unique<MemoryBench>(); }));

std::vector<Bytes> run(std::uint64_t seed, MemoryBus::Faults faults) {
  SeededEntropy entropy(seed);
  MemoryBus bus(entropy, faults);
  for (std::uint8_t i = 0; i < 200; ++i) bus.publish(ShardId{1}, {i});
  std::vector<Bytes> taken;
  while (auto message = bus.take()) taken.push_back(std::move(message->octets));
  return taken;
}

TEST(MemoryBus, FaultsAreDrawnFromTheSeed) {
  const MemoryBus::Faults faults{100, 100, 100};
  EXPECT_EQ(run(1, faults), run(1, faults));
  EXPECT_NE(run(1, faults), run(2, faults));
  EXPECT_LT(run(1, {500, 0, 0}).size(), 150U);
  EXPECT_GT(run(1, {0, 500, 0}).size(), 250U);
  auto reordered = run(1, {0, 0, 500});
  EXPECT_FALSE(std::ranges::is_sorted(reordered));
  std::ranges::sort(reordered);
  EXPECT_EQ(reordered, run(1, {}));
}

TEST(MemoryBus, AFullQueueDrops) {
  MemoryBus bus;
  for (std::size_t i = 0; i < limits::kBusQueue + 10; ++i) bus.publish(ShardId{1}, {});
  EXPECT_EQ(bus.size(), limits::kBusQueue);
}

}  // namespace
}  // namespace godwit::ports
