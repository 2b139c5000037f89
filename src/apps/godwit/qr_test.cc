#include "apps/godwit/qr.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "client/group_link.h"

namespace godwit::cli {
namespace {

std::size_t rows(const std::string& text) {
  return static_cast<std::size_t>(std::ranges::count(text, '\n')) + 1;
}

// A terminal of 24 lines, the last of which is the next prompt.
TEST(QrTest, ALinkToAGroupFitsATerminal) {
  client::GroupLinkText link{.group = {{1}}, .version = 16'383};
  link.digest.fill(0xA5);
  std::string text = client::write_link(link);
  for (char& c : text) c = static_cast<char>(std::toupper(c));
  const std::string code = qr_text(view_of(text));
  EXPECT_FALSE(code.empty());
  EXPECT_LE(rows(code), 23u);
  const auto read = client::read_link(text);
  ASSERT_TRUE(read);
  EXPECT_EQ(read->version, 16'383u);
  EXPECT_EQ(read->digest, link.digest);
}

TEST(QrTest, WhatIsNotInCapitalsTakesMoreAndTooMuchNothing) {
  EXPECT_LT(rows(qr_text(view_of(std::string(150, 'A')))),
            rows(qr_text(view_of(std::string(150, 'a')))));
  EXPECT_FALSE(qr_text(Bytes(200, 0)).empty()) << "any octets, zeros too";
  EXPECT_TRUE(qr_text(Bytes(4000, 1)).empty());
}

}  // namespace
}  // namespace godwit::cli
