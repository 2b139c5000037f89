// For tests only: what match() promises, on every store that searches.
#pragma once

#include <gtest/gtest.h>

#include "ports/store.h"

namespace godwit::ports {

inline void expect_search_works(Store& store) {
  const Bytes partition = to_bytes("client");
  const auto key = [](std::uint64_t order) {
    Bytes out;
    put_be64(out, order);
    out.push_back('k');
    return out;
  };
  const auto write = [&](auto change) {
    Batch batch{partition, {}};
    change(batch);
    EXPECT_TRUE(store.write({&batch, 1}, Durability::kSafe));
  };
  const auto put = [&](std::uint64_t order, std::string_view words) {
    write([&](Batch& b) { b.put(Space::kSearch, key(order), to_bytes(words)); });
  };
  const auto found = [&](std::vector<std::string> words, std::size_t limit = 10) {
    std::vector<std::uint64_t> orders;
    const auto rows = store.match(partition, words, limit);
    EXPECT_TRUE(rows);
    if (!rows) return orders;
    for (const Row& row : *rows) orders.push_back(get_be64(ByteView(row.key).first(8)));
    return orders;
  };
  using Orders = std::vector<std::uint64_t>;
  put(1, "meet at the harbour");
  put(2, "harbours and hills");
  put(300, "\xE6\x9D\xB1 \xE4\xBA\xAC");
  EXPECT_EQ(found({"harb"}), (Orders{2, 1}));
  EXPECT_EQ(found({"harb"}, 1), Orders{2});
  EXPECT_EQ(found({"h", "meet"}), Orders{1});
  EXPECT_EQ(found({"arbour"}), Orders{});
  EXPECT_EQ(found({"\xE4\xBA\xAC"}), Orders{300});
  EXPECT_EQ(found({}), Orders{});
  put(2, "mountains");
  EXPECT_EQ(found({"harb"}), Orders{1});
  EXPECT_EQ(found({"mountain"}), Orders{2});
  write([&](Batch& b) { b.erase(Space::kSearch, key(1)); });
  EXPECT_EQ(found({"meet"}), Orders{});
  write([&](Batch& b) { b.erase_range(Space::kSearch, key(2), {}); });
  EXPECT_EQ(found({"m"}), Orders{});
}

}  // namespace godwit::ports
