#include "client/delivery_window.h"

#include <gtest/gtest.h>

namespace godwit::client {
namespace {

using Seen = DeliveryWindow::Seen;
using Numbers = std::vector<std::uint64_t>;

TEST(DeliveryWindow, NumbersInOrderAreNewOnce) {
  DeliveryWindow window;
  for (std::uint64_t n = 1; n <= 5; ++n) {
    EXPECT_EQ(window.accept(7, n), Seen::kNew);
    EXPECT_EQ(window.accept(7, n), Seen::kDuplicate);
  }
  EXPECT_EQ(window.accept(7, 0), Seen::kDuplicate);
  EXPECT_TRUE(window.missing().empty());
}

TEST(DeliveryWindow, ShowsGapsAndTakesLateOnesOnce) {
  DeliveryWindow window;
  EXPECT_EQ(window.accept(7, 1), Seen::kNew);
  EXPECT_EQ(window.accept(7, 5), Seen::kNew);
  EXPECT_EQ(window.missing(), (Numbers{2, 3, 4}));
  EXPECT_EQ(window.accept(7, 3), Seen::kLate);
  EXPECT_EQ(window.accept(7, 3), Seen::kDuplicate);
  EXPECT_EQ(window.missing(), (Numbers{2, 4}));
}

TEST(DeliveryWindow, RemembersThePreviousStream) {
  DeliveryWindow window;
  window.accept(7, 1);
  window.accept(7, 3);
  EXPECT_EQ(window.accept(8, 1), Seen::kNew);
  EXPECT_EQ(window.accept(7, 3), Seen::kDuplicate);
  EXPECT_EQ(window.accept(7, 2), Seen::kLate);
  EXPECT_EQ(window.accept(8, 1), Seen::kDuplicate);
}

TEST(DeliveryWindow, GapsAreBounded) {
  DeliveryWindow window;
  EXPECT_EQ(window.accept(7, UINT64_MAX - 1), Seen::kNew);
  ASSERT_EQ(window.missing().size(), limits::kMissingNumbers);
  EXPECT_EQ(window.missing().back(), UINT64_MAX - 2);
  EXPECT_EQ(window.accept(7, 1), Seen::kDuplicate);
  EXPECT_EQ(window.accept(7, UINT64_MAX), Seen::kNew);
}

TEST(DeliveryWindow, SurvivesStorage) {
  DeliveryWindow window;
  window.accept(7, 4);
  window.accept(9, 2);
  auto loaded = decode<DeliveryWindow>(encode(window));
  ASSERT_TRUE(loaded);
  EXPECT_EQ(encode(*loaded), encode(window));
  EXPECT_EQ(loaded->accept(7, 4), Seen::kDuplicate);
  EXPECT_EQ(loaded->accept(9, 1), Seen::kLate);
}

}  // namespace
}  // namespace godwit::client
