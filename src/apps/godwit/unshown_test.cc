#include "apps/godwit/unshown.h"

#include <gtest/gtest.h>

#include "client/engine.h"
#include "ports/memory_store.h"

namespace godwit::cli {
namespace {

UserId user(std::uint8_t n) {
  UserId id;
  id.octets[0] = n;
  return id;
}

class UnshownTest : public testing::Test {
 protected:
  void put(std::uint8_t chat, std::uint64_t order,
           client::Direction direction = client::Direction::kIn) {
    client::Message message;
    message.chat = user(chat);
    message.from = user(chat);
    message.direction = direction;
    message.text = std::to_string(order);
    Bytes key = client::chat_key(message.chat);
    put_be64(key, order);
    ports::Batch batch{client::Engine::partition(), {}};
    batch.put(ports::Space::kMessage, key, encode(message));
    key.push_back('s');  // a change of status lies behind its message
    batch.put(ports::Space::kMessage, key, {});
    ASSERT_TRUE(store_.write({&batch, 1}, ports::Durability::kSafe));
  }
  static std::string read_all(Unshown& unshown, std::uint64_t* last = nullptr) {
    std::string orders;
    for (;;) {
      const auto page = unshown.next();
      EXPECT_TRUE(page);
      if (!page || page->empty()) return orders;
      EXPECT_LE(page->size(), Unshown::kPage);
      for (const auto& entry : *page) {
        orders += entry.message.text + " ";
        if (last != nullptr) *last = entry.order;
      }
    }
  }

  ports::MemoryStore store_;
};

TEST_F(UnshownTest, MergesTheChatsByArrivalAndSkipsOwnMessages) {
  put(1, 10);
  put(2, 11);
  put(0xFF, 12);
  put(1, 13, client::Direction::kOut);
  put(1, 14);
  Unshown unshown(store_);
  EXPECT_EQ(read_all(unshown), "10 11 12 14 ");
  EXPECT_EQ(read_all(unshown), "");
  put(2, 15);
  EXPECT_EQ(read_all(unshown), "") << "nobody told it";
  unshown.note(user(2));
  EXPECT_EQ(read_all(unshown), "15 ");
}

TEST_F(UnshownTest, ABusyChatDoesNotOvertakeAQuietOne) {
  std::string expected;
  for (std::uint64_t order = 1; order <= 500; ++order) {
    put(order % 100 == 50 ? 2 : 1, order,
        order % 3 == 0 ? client::Direction::kOut : client::Direction::kIn);
    if (order % 3 != 0) expected += std::to_string(order) + " ";
  }
  Unshown unshown(store_);
  EXPECT_EQ(read_all(unshown), expected);
}

TEST_F(UnshownTest, OnlyWhatWasShownIsGoneForTheNext) {
  for (std::uint64_t order = 1; order <= 5; ++order) put(1, order);
  {
    Unshown unshown(store_);
    EXPECT_EQ(read_all(unshown), "1 2 3 4 5 ");
    ASSERT_TRUE(unshown.shown(3));
  }
  Unshown restarted(store_);
  std::uint64_t last = 0;
  EXPECT_EQ(read_all(restarted, &last), "4 5 ");
  ASSERT_TRUE(restarted.shown(last));
  EXPECT_EQ(read_all(*std::make_unique<Unshown>(store_)), "");
}

TEST_F(UnshownTest, OneReaderAtATime) {
  for (std::uint64_t order = 1; order <= 3; ++order) put(1, order);
  Unshown unshown(store_);
  int first = 0, second = 0;
  EXPECT_TRUE(unshown.take(&first));
  EXPECT_FALSE(unshown.take(&second));
  EXPECT_EQ(read_all(unshown), "1 2 3 ");
  ASSERT_TRUE(unshown.shown(1));
  unshown.release(&first);
  EXPECT_TRUE(unshown.take(&second));
  EXPECT_EQ(read_all(unshown), "2 3 ") << "what the first took and did not show";
}

}  // namespace
}  // namespace godwit::cli
