#include "server/placement.h"

#include <array>

#include "base/check.h"

namespace godwit::server {
namespace {

constexpr int kCounterBits = 40;
constexpr std::uint32_t kMaxEpoch = (1u << 24) - 1;

// CRC-16/XMODEM, an octet at a time.
constexpr std::array<std::uint16_t, 256> kCrc = [] {
  std::array<std::uint16_t, 256> table{};
  for (std::uint32_t octet = 0; octet < table.size(); ++octet) {
    std::uint32_t crc = octet << 8;
    for (int bit = 0; bit < 8; ++bit) crc = (crc & 0x8000) != 0 ? (crc << 1) ^ 0x1021 : crc << 1;
    table[octet] = static_cast<std::uint16_t>(crc);
  }
  return table;
}();

}  // namespace

Slot slot_of(ByteView key) {
  std::uint32_t crc = 0;
  for (const std::uint8_t octet : key) crc = (crc << 8 & 0xFFFF) ^ kCrc[crc >> 8 ^ octet];
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
