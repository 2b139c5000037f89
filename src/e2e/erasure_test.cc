#include "e2e/erasure.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "base/entropy.h"
#include "crypto/test_vectors.h"

namespace godwit::e2e {
namespace {

using vectors::hex;

Bytes random_value(SeededEntropy& entropy, std::size_t size) {
  Bytes value(size);
  entropy.fill(value);
  return value;
}

TEST(Erasure, Vectors) {
  const auto file = vectors::load("signal/spqr-chunks.json");
  int chunks = 0;
  for (const auto& test : file["cases"]) {
    const Bytes value = hex(test["message"]);
    for (const auto& [index, data] : test["chunks"].items()) {
      const auto chunk = chunk_of(value, static_cast<std::uint16_t>(std::stoul(index)));
      EXPECT_EQ(to_hex(chunk.data), vectors::text(data))
          << value.size() << " octets, chunk " << index;
      ++chunks;
    }
  }
  EXPECT_GE(chunks, 28);
}

TEST(Erasure, AnyChunksGiveTheValueBack) {
  SeededEntropy entropy(1);
  for (const std::size_t size : {32, 96, 160, 960, 1152}) {
    const Bytes value = random_value(entropy, size);
    const std::size_t needed = size / Chunk::kSize;
    for (const int lost_in_ten : {0, 3, 10}) {
      Incoming incoming(size);
      Outgoing outgoing{value};
      if (lost_in_ten == 10) outgoing.next = static_cast<std::uint16_t>(65536 - needed);
      std::size_t added = 0;
      while (added < needed) {
        EXPECT_FALSE(incoming.value());
        const Chunk chunk = outgoing.take();
        if (lost_in_ten < 10 && entropy.below(10) < static_cast<unsigned>(lost_in_ten)) continue;
        incoming.add(chunk);
        incoming.add(chunk);
        ++added;
        incoming = *Incoming::parse(incoming.serialize());
      }
      EXPECT_EQ(incoming.value(), value);
      incoming.add(chunk_of(random_value(entropy, size), 60000));
      EXPECT_EQ(incoming.value(), value) << "a chunk too many";
    }
  }
}

TEST(Erasure, ParseRefuses) {
  Bytes record = Incoming(96).serialize();
  EXPECT_TRUE(Incoming::parse(record));
  record.resize(1 + 34 * 3);
  EXPECT_TRUE(Incoming::parse(record));
  record.resize(1 + 34 * 3 - 1);
  EXPECT_FALSE(Incoming::parse(record)) << "half a chunk";
  record.resize(1 + 34 * 4);
  EXPECT_FALSE(Incoming::parse(record)) << "more than expected";
  EXPECT_FALSE(Incoming::parse(Bytes{kMaxChunks + 1}));
  EXPECT_FALSE(Incoming::parse({}));
  EXPECT_FALSE(Incoming().value()) << "expects nothing";
}

}  // namespace
}  // namespace godwit::e2e
