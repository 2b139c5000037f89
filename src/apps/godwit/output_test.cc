#include "apps/godwit/output.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <ctime>

namespace godwit::cli {
namespace {

TEST(Printable, LeavesOrdinaryTextAlone) {
  EXPECT_EQ(printable("Grüße, 世界 👩‍🚀"), "Grüße, 世界 👩‍🚀");
}

TEST(Printable, TakesThePowerOfEscapeSequences) {
  EXPECT_EQ(printable("\x1b]0;owned\x07"), "␛]0;owned␇");
  EXPECT_EQ(printable("\xc2\x9b"
                      "31m"),
            "\xEF\xBF\xBD"
            "31m")
      << "the one-character CSI";
  EXPECT_EQ(printable("a\x7f"
                      "b\rc\x08"),
            "a\xEF\xBF\xBD"
            "b␍c␈");
  EXPECT_EQ(printable("\xE2\x80\xAE"
                      "gpj.exe"),
            "\xEF\xBF\xBDgpj.exe")
      << "right to left";
  EXPECT_EQ(printable(std::string_view("a\0b", 3)), "a␀b");
}

TEST(Printable, KeepsLinesOnlyWhenAsked) {
  EXPECT_EQ(printable("a\nb"), "a␊b");
  EXPECT_EQ(printable("a\nb", true), "a\nb");
}

TEST(Printable, ReplacesMalformedUtf8OctetByOctet) {
  EXPECT_EQ(printable("a\xC3(\xED\xA0\x80"), "a�(���");
  EXPECT_EQ(printable("\xF0\x9F\x98"), "���");
}

TEST(Utf8Error, NamesTheFirstWrongOctet) {
  EXPECT_EQ(utf8_error("gr\xC3\xBC\xC3\x9F"), std::string_view::npos);
  EXPECT_EQ(utf8_error("abc\xFFzz"), 3U);
  EXPECT_EQ(utf8_error("\xC0\xAF"), 0U) << "overlong";
  EXPECT_EQ(utf8_error("ab\xE2\x82"), 2U) << "cut";
}

TEST(JsonLine, EscapesWhatATerminalObeys) {
  EXPECT_EQ(json_line({{"text",
                        "\x1b[2J\n\x7f\xc2\x9b"
                        "é"}}),
            "{\"text\":\"\\u001b[2J\\n\\u007f\\u009bé\"}\n");
}

TEST(JsonLine, MessagesAndReceiptsHaveExactlyTheirFields) {
  client::Message message;
  message.id.octets[0] = 0xAB;
  message.phone = "+33612345678";
  message.composed = {1700000000123};
  message.text = "hi \"you\"";
  EXPECT_EQ(json_line(message_json(message, {})),
            "{\"type\":\"message\",\"id\":\"ab000000000000000000000000000000\","
            "\"from\":\"+33612345678\",\"chat\":\"+33612345678\","
            "\"timestamp_ms\":1700000000123,\"text\":\"hi \\\"you\\\"\"}\n");
  client::StatusChanged change{message.id, {}, {}, "+33687654321", client::Status::kRead, ""};
  EXPECT_EQ(json_line(receipt_json(change)),
            "{\"type\":\"receipt\",\"for\":\"ab000000000000000000000000000000\","
            "\"status\":\"read\",\"from\":\"+33687654321\"}\n");
  EXPECT_EQ(json_line(error_json("timeout", "too late")),
            "{\"type\":\"error\",\"code\":\"timeout\",\"text\":\"too late\"}\n");
}

TEST(Who, NamesAPersonWithoutANumberByTheirId) {
  UserId user;
  user.octets[15] = 1;
  EXPECT_EQ(who("", user), "user:00000000000000000000000000000001");
}

TEST(Text, NumbersAndTimesReadWell) {
  EXPECT_EQ(grouped(0), "0");
  EXPECT_EQ(grouped(999), "999");
  EXPECT_EQ(grouped(1234567), "1,234,567");
  ::setenv("TZ", "UTC", 1);
  ::tzset();
  const Instant now{1'700'000'000'000};  // Tue 2023-11-14 22:13:20
  EXPECT_EQ(short_time(now, now), "22:13");
  EXPECT_EQ(short_time({now.ms - days(1).ms}, now), "Mon 22:13");
  EXPECT_EQ(short_time({now.ms - days(30).ms}, now), "2023-10-15 22:13");
  EXPECT_EQ(day_name(now, now), "Today");
  EXPECT_EQ(day_name({now.ms - days(1).ms}, now), "Yesterday");
  EXPECT_EQ(day_name({now.ms - days(2).ms}, now), "Sunday 12 November 2023");
}

TEST(Paint, NeedsColor) {
  EXPECT_EQ(paint(Ink::kRed, "x", false), "x");
  EXPECT_EQ(paint(Ink::kRed, "x", true), "\x1b[31mx\x1b[0m");
}

}  // namespace
}  // namespace godwit::cli
