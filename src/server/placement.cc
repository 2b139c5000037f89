#include "server/placement.h"

#include "base/check.h"

namespace godwit::server {
namespace {

constexpr int kCounterBits = 40;
constexpr std::uint32_t kMaxEpoch = (1u << 24) - 1;

}  // namespace

Slot slot_of(ByteView key) {
  std::uint32_t crc = 0;
  for (const std::uint8_t octet : key) {
    crc ^= std::uint32_t{octet} << 8;
    for (int bit = 0; bit < 8; ++bit) {
      crc = (crc & 0x8000) != 0 ? (crc << 1) ^ 0x1021 : crc << 1;
    }
    crc &= 0xFFFF;
  }
  return static_cast<Slot>(crc % kSlots);
}

SequenceSource::SequenceSource(std::uint32_t epoch) : last_(std::uint64_t{epoch} << kCounterBits) {}

Sequence SequenceSource::next() {
  ++last_;
  CHECK((last_ & ((std::uint64_t{1} << kCounterBits) - 1)) != 0);
  return {last_};
}

Placement::Placement(std::uint16_t shards, std::uint32_t incarnation)
    : shards_(shards), epoch_(incarnation) {
  CHECK(shards > 0);
  CHECK(incarnation > 0 && incarnation <= kMaxEpoch);
}

}  // namespace godwit::server
