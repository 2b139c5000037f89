#include "adapters/console/phone_number.h"

#include <gtest/gtest.h>

namespace godwit::adapters {
namespace {

TEST(PhoneNumber, IsNormalisedToE164) {
  EXPECT_EQ(parse_phone("+33612345678"), "+33612345678");
  EXPECT_EQ(parse_phone("+33687654321"), "+33687654321");
  EXPECT_EQ(parse_phone("+33 6 12 34 56 78"), "+33612345678");
  EXPECT_EQ(parse_phone("+33 (0)6.12.34.56.78"), "+33612345678");
  EXPECT_EQ(parse_phone("+1 202-555-0123"), "+12025550123");
  EXPECT_EQ(parse_phone("+44 7400 123456"), "+447400123456");
  EXPECT_EQ(parse_phone("+39 06 1234 5678"), "+390612345678") << "Italy keeps its zero";
}

TEST(PhoneNumber, WhatIsNoNumberIsRefused) {
  const std::string endless = "+336" + std::string(10000, '1');
  for (const std::string_view text :
       {std::string_view(""), std::string_view("0612345678"), std::string_view("0033612345678"),
        std::string_view("+"), std::string_view("+999123456789"), std::string_view("+336"),
        std::string_view("+33612345678901234"), std::string_view("+33912"),
        std::string_view("+1 800 FLOWERS"), std::string_view("+33612345678;ext=1"),
        std::string_view("+33612345678\n"), std::string_view("+33612345678\0", 13),
        std::string_view(endless)}) {
    const auto parsed = parse_phone(text);
    ASSERT_FALSE(parsed) << text.substr(0, 40);
    EXPECT_EQ(parsed.error().code, Code::kInvalid);
  }
}

TEST(PhoneNumber, TheLibrarySaysNothing) {
  testing::internal::CaptureStdout();
  testing::internal::CaptureStderr();
  EXPECT_FALSE(parse_phone("+999123456789"));
  EXPECT_FALSE(parse_phone("+33"));
  EXPECT_EQ(testing::internal::GetCapturedStdout(), "");
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
}

}  // namespace
}  // namespace godwit::adapters
