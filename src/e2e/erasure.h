// The erasure code in which SPQR sends its long values: chunks of 32 octets, of which any n, the
// length of the value in chunks, give the value back. The first n are the value itself.
//
// Systematic Reed-Solomon over GF(2^16), reduction polynomial 0x1100B: the big-endian words at the
// same place of chunks 0, 1, 2, ... lie on one polynomial of degree below n. Not for secrets: takes
// variable time.
#pragma once

#include <optional>

#include "base/bytes.h"

namespace godwit::e2e {

inline constexpr std::size_t kMaxChunks = 36;  // an ML-KEM-768 key vector

struct Chunk {
  static constexpr std::size_t kSize = 32;
  std::uint16_t index = 0;
  ByteArray<kSize> data{};
};

// Chunk `index` of `value`, which is 1 to kMaxChunks whole chunks long.
Chunk chunk_of(ByteView value, std::uint16_t index);

// A value on its way out: chunk after chunk, around and around.
struct Outgoing {
  Bytes value;
  std::uint16_t next = 0;

  Chunk take() { return chunk_of(value, next++); }
};

// A value on its way in.
class Incoming {
 public:
  Incoming() = default;  // expects nothing
  // `size`: of the value, in octets.
  explicit Incoming(std::size_t size) : expected_(size / Chunk::kSize) {}

  // Ignores a chunk that is there already, and any after the last that was needed.
  void add(const Chunk& chunk);
  // nullopt while chunks are missing.
  std::optional<Bytes> value() const;

  std::size_t expected_size() const { return expected_ * Chunk::kSize; }
  Bytes serialize() const;
  static std::optional<Incoming> parse(ByteView record);

 private:
  std::size_t count() const { return packed_.size() / kEntry; }
  static constexpr std::size_t kEntry = 2 + Chunk::kSize;  // big-endian index, data

  std::size_t expected_ = 0;  // chunks
  Bytes packed_;
};

}  // namespace godwit::e2e
