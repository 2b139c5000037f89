#include "base/lookup.h"

#include <gtest/gtest.h>

namespace godwit {
namespace {

struct Same {
  std::size_t operator()(int) const { return 7; }
};

TEST(Lookup, KeepsTheFirstAndFindsWhatIsThere) {
  Lookup<int, int, Same> table;
  EXPECT_EQ(table.find(1), nullptr);
  int& one = table.try_emplace(1, 10);
  EXPECT_EQ(table.try_emplace(1, 11), 10);
  for (int i = 100; i > 1; --i) table.try_emplace(i, 10 * i);
  EXPECT_EQ(&one, table.find(1));
  table.erase(50);
  EXPECT_EQ(table.find(50), nullptr);
  EXPECT_EQ(table.size(), 99u);
  EXPECT_TRUE(table.all_of([](int value) { return value >= 10; }));
  EXPECT_FALSE(table.all_of([](int value) { return value > 10; }));
}

TEST(Lookup, TellsItsKeysInOrder) {
  Lookup<int, int, Same> table;
  for (const int key : {5, 3, 9, 1}) table.try_emplace(key, 0);
  EXPECT_EQ(table.keys(), (std::vector<int>{1, 3, 5, 9}));
}

}  // namespace
}  // namespace godwit
