#include "runtime/handover.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <latch>
#include <thread>

namespace godwit::runtime {
namespace {

TEST(Ownership, OneOfTwoTakesItForGood) {
  for (int round = 0; round < 2000; ++round) {
    auto old_side = Ownership::create();
    ASSERT_TRUE(old_side);
    auto new_side = Ownership::adopt(dup(old_side->descriptor()));
    ASSERT_TRUE(new_side);
    std::latch both(2);
    bool old_has = false, new_has = false;
    std::thread other([&] {
      both.arrive_and_wait();
      new_has = new_side->take(Ownership::Side::kNew);
    });
    both.arrive_and_wait();
    old_has = old_side->take(Ownership::Side::kOld);
    other.join();
    ASSERT_NE(old_has, new_has);
    ASSERT_EQ(old_side->take(Ownership::Side::kOld), old_has);
    ASSERT_EQ(new_side->take(Ownership::Side::kNew), new_has);
  }
}

TEST(Handover, RecordsKeepEveryField) {
  ConnectionRecord record{.index = 7, .generation = 3, .heard = 99, .open = true};
  record.channel[0] = 1;
  record.frame = {1, 2};
  record.unread = {0, 9, 8};
  record.unsent = {4};
  const auto read = decode<ConnectionRecord>(encode(record));
  ASSERT_TRUE(read);
  EXPECT_EQ(encode(*read), encode(record));
  EXPECT_TRUE(read->open && read->channel == record.channel && read->unread == record.unread &&
              read->unsent == record.unsent && read->frame == record.frame);
  // One of a newer program says more, which this one skips.
  Bytes newer = encode(record);
  put_bytes_field(newer, 99, view_of("later"));
  EXPECT_EQ(encode(*decode<ConnectionRecord>(newer)), encode(record));
  EXPECT_FALSE(decode<ConnectionRecord>(ByteView(newer).first(newer.size() - 2)));
}

}  // namespace
}  // namespace godwit::runtime
