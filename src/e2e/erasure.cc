#include "e2e/erasure.h"

#include <algorithm>

#include "base/check.h"

namespace godwit::e2e {
namespace {

using Word = std::uint16_t;  // an element of GF(2^16); + is ^
constexpr std::size_t kWords = Chunk::kSize / 2;

constexpr std::uint32_t reduce(std::uint32_t product) {  // of degree at most 30
  for (int bit = 30; bit >= 16; --bit) {
    if ((product >> bit & 1) != 0) product ^= std::uint32_t{0x1100B} << (bit - 16);
  }
  return product;
}

// What the upper half of a product leaves, octet by octet.
constexpr auto kReduced = [] {
  std::array<std::array<Word, 256>, 2> table{};
  for (std::uint32_t octet = 0; octet < 256; ++octet) {
    table[0][octet] = static_cast<Word>(reduce(octet << 16));
    table[1][octet] = octet < 128 ? static_cast<Word>(reduce(octet << 24)) : Word{0};
  }
  return table;
}();

Word times(Word a, Word b) {
  std::uint32_t product = 0;
  for (int bit = 0; bit < 16; ++bit) product ^= (std::uint32_t{a} << bit) & (0u - (b >> bit & 1u));
  return static_cast<Word>(product ^ kReduced[0][product >> 16 & 0xff] ^
                           kReduced[1][product >> 24]);
}

Word inverse(Word a) {  // a^(2^16 - 2)
  Word result = 1;
  for (int i = 1; i < 16; ++i) {
    a = times(a, a);
    result = times(result, a);
  }
  return result;
}

// The polynomial through `n` points, evaluated word by word (Lagrange, in barycentric form).
class Interpolation {
 public:
  explicit Interpolation(std::span<const Word> at) : at_(at) {
    for (std::size_t i = 0; i < at.size(); ++i) {
      Word product = 1;
      for (std::size_t j = 0; j < at.size(); ++j) {
        if (j != i) product = times(product, at[i] ^ at[j]);
      }
      weights_[i] = inverse(product);
    }
  }
  // The chunk at `x`, which is none of the points; `data(i)` is the chunk at point i.
  template <typename Data>
  ByteArray<Chunk::kSize> evaluate(Word x, Data data) const {
    Word all = 1;
    for (const Word at : at_) all = times(all, x ^ at);
    std::array<Word, kWords> sum{};
    for (std::size_t i = 0; i < at_.size(); ++i) {
      const Word factor = times(times(all, weights_[i]), inverse(x ^ at_[i]));
      const ByteView words = data(i);
      for (std::size_t w = 0; w < kWords; ++w) {
        sum[w] ^= times(factor, get_be16(words.subspan(2 * w, 2)));
      }
    }
    ByteArray<Chunk::kSize> out;
    for (std::size_t w = 0; w < kWords; ++w) {
      out[2 * w] = static_cast<std::uint8_t>(sum[w] >> 8);
      out[2 * w + 1] = static_cast<std::uint8_t>(sum[w]);
    }
    return out;
  }

 private:
  std::span<const Word> at_;
  std::array<Word, kMaxChunks> weights_{};
};

}  // namespace

Chunk chunk_of(ByteView value, std::uint16_t index) {
  const std::size_t n = value.size() / Chunk::kSize;
  CHECK(n >= 1 && n <= kMaxChunks && value.size() % Chunk::kSize == 0);
  const auto data = [&](std::size_t i) { return value.subspan(Chunk::kSize * i, Chunk::kSize); };
  if (index < n) return {index, *to_array<Chunk::kSize>(data(index))};
  std::array<Word, kMaxChunks> at{};
  for (std::size_t i = 0; i < n; ++i) at[i] = static_cast<Word>(i);
  return {index, Interpolation({at.data(), n}).evaluate(index, data)};
}

void Incoming::add(const Chunk& chunk) {
  if (count() >= expected_) return;
  for (std::size_t i = 0; i < count(); ++i) {
    if (get_be16(ByteView(packed_).subspan(kEntry * i, 2)) == chunk.index) return;
  }
  put_be16(packed_, chunk.index);
  append(packed_, chunk.data);
}

std::optional<Bytes> Incoming::value() const {
  if (expected_ == 0 || count() < expected_) return std::nullopt;
  const std::size_t n = expected_;
  std::array<Word, kMaxChunks> at{};
  std::array<bool, kMaxChunks> present{};
  Bytes value(n * Chunk::kSize);
  const auto data = [&](std::size_t i) {
    return ByteView(packed_).subspan(kEntry * i + 2, Chunk::kSize);
  };
  const auto place = [&](std::size_t index, ByteView chunk) {
    std::ranges::copy(chunk, value.begin() + static_cast<std::ptrdiff_t>(index * Chunk::kSize));
  };
  for (std::size_t i = 0; i < n; ++i) {
    at[i] = get_be16(ByteView(packed_).subspan(kEntry * i, 2));
    if (at[i] >= n) continue;
    present[at[i]] = true;
    place(at[i], data(i));
  }
  if (std::ranges::count(present, true) == static_cast<std::ptrdiff_t>(n)) return value;
  const Interpolation polynomial({at.data(), n});
  for (std::size_t i = 0; i < n; ++i) {
    if (!present[i]) place(i, polynomial.evaluate(static_cast<Word>(i), data));
  }
  return value;
}

Bytes Incoming::serialize() const {
  Bytes out;
  out.reserve(1 + packed_.size());
  out.push_back(static_cast<std::uint8_t>(expected_));
  append(out, packed_);
  return out;
}

std::optional<Incoming> Incoming::parse(ByteView record) {
  if (record.empty() || record[0] > kMaxChunks || record.size() > 1 + record[0] * kEntry ||
      (record.size() - 1) % kEntry != 0) {
    return std::nullopt;
  }
  Incoming incoming(record[0] * Chunk::kSize);
  for (ByteView rest = record.subspan(1); !rest.empty(); rest = rest.subspan(kEntry)) {
    incoming.add({get_be16(rest.first(2)), *to_array<Chunk::kSize>(rest.subspan(2, Chunk::kSize))});
  }
  return incoming;
}

}  // namespace godwit::e2e
