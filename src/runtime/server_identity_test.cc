#include "runtime/server_identity.h"

#include <gtest/gtest.h>

#include "ports/faulty_store.h"

namespace godwit::runtime {
namespace {

TEST(ServerIdentity, StaysTheSameAndCountsItsStarts) {
  ports::FaultyStore store;
  SeededEntropy entropy(1);
  const auto first = ServerIdentity::start(store, entropy);
  ASSERT_TRUE(first);
  store.crash();
  const auto second = ServerIdentity::start(store, entropy);
  ASSERT_TRUE(second);
  EXPECT_EQ(first->key.public_key, second->key.public_key);
  EXPECT_EQ(first->pepper, second->pepper);
  EXPECT_TRUE(same(first->certificate_seed.view(), second->certificate_seed.view()));
  EXPECT_FALSE(same(first->certificate_seed.view(), ByteArray<32>{}));
  EXPECT_EQ(first->incarnation, 1U);
  EXPECT_EQ(second->incarnation, 2U);
}

TEST(ServerIdentity, IsNotMadeAnewWhenItCannotBeReadOrStored) {
  ports::FaultyStore store;
  SeededEntropy entropy(1);
  ports::Batch damaged{to_bytes("godwitd"), {}};
  damaged.put(ports::Space::kMeta, to_bytes("identity"), to_bytes("?"));
  ASSERT_TRUE(store.write({&damaged, 1}, ports::Durability::kSafe));
  EXPECT_EQ(ServerIdentity::start(store, entropy).error().code, Code::kCorrupt);
  ports::FaultyStore full;
  full.set_full(true);
  EXPECT_EQ(ServerIdentity::start(full, entropy).error().code, Code::kFull);
}

}  // namespace
}  // namespace godwit::runtime
