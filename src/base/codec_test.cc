#include "base/codec.h"

#include <gtest/gtest.h>

namespace godwit {
namespace {

struct Inner {
  std::uint32_t number = 0;
  std::string text;
  static void fields(auto& m, auto& field) {
    field(1, m.number);
    field(2, m.text, 8);
  }
};

struct Record {
  std::uint8_t small = 0;
  std::uint64_t large = 0;
  UserId user;
  DeviceId device;
  Instant at;
  Bytes octets;
  std::vector<Inner> list;
  std::vector<std::uint32_t> numbers;
  std::optional<Inner> maybe;
  ByteArray<3> three{};
  static void fields(auto& m, auto& field) {
    field(1, m.small);
    field(2, m.large);
    field(3, m.user);
    field(4, m.device);
    field(5, m.at);
    field(6, m.octets, 16);
    field(7, m.list, 2);
    field(8, m.numbers, 4);
    field(9, m.maybe);
    field(10, m.three);
  }
};

Record sample() {
  SeededEntropy entropy(1);
  Record r;
  r.small = 200;
  r.large = UINT64_MAX;
  r.user = UserId::random(entropy);
  r.device = {3};
  r.at = {1234567890123};
  r.octets = {0, 1, 2};
  r.list = {{7, "seven"}, {0, ""}};
  r.numbers = {0, 1, UINT32_MAX};
  r.maybe = Inner{9, "nine"};
  r.three = {1, 0, 2};
  return r;
}

TEST(Codec, RoundTrip) {
  const Record in = sample();
  const auto out = decode<Record>(encode(in));
  ASSERT_TRUE(out);
  EXPECT_EQ(out->small, 200);
  EXPECT_EQ(out->large, UINT64_MAX);
  EXPECT_EQ(out->user, in.user);
  EXPECT_EQ(out->device, in.device);
  EXPECT_EQ(out->at, in.at);
  EXPECT_EQ(out->octets, in.octets);
  ASSERT_EQ(out->list.size(), 2u);
  EXPECT_EQ(out->list[0].text, "seven");
  EXPECT_EQ(out->numbers, in.numbers);
  ASSERT_TRUE(out->maybe);
  EXPECT_EQ(out->maybe->number, 9u);
  EXPECT_EQ(out->three, in.three);
}

TEST(Codec, UnknownFieldsAreSkipped) {
  Bytes bytes = encode(Inner{7, "x"});
  put_bytes_field(bytes, 99, to_bytes("future"));
  put_uint_field(bytes, 100, 5);
  const auto out = decode<Inner>(bytes);
  ASSERT_TRUE(out);
  EXPECT_EQ(out->number, 7u);
}

TEST(Codec, BoundsAreKept) {
  EXPECT_EQ(decode<Inner>(encode(Inner{1, "ninechars"})).error().code, Code::kTooLarge);
  Record r = sample();
  r.list.push_back({});
  EXPECT_EQ(decode<Record>(encode(r)).error().code, Code::kTooLarge);
  Bytes wide;
  put_uint_field(wide, 1, 256);  // `small` has eight bits
  EXPECT_EQ(decode<Record>(wide).error().code, Code::kCorrupt);
}

TEST(Codec, EveryTruncationIsAnErrorOrAShorterRecord) {
  const Bytes bytes = encode(sample());
  for (std::size_t n = 0; n < bytes.size(); ++n) {
    (void)decode<Record>(ByteView(bytes).first(n));  // must not crash; sanitizers watch
  }
  EXPECT_FALSE(decode<Record>(ByteView(bytes).first(bytes.size() - 1)));
}

TEST(Codec, VarintLimits) {
  EXPECT_FALSE(Reader(Bytes(10, 0xFF)).varint());
  EXPECT_FALSE(Reader(Bytes(3, 0x80)).varint());
  Bytes max;
  put_varint(max, UINT64_MAX);
  EXPECT_EQ(Reader(max).varint().value(), UINT64_MAX);
}

TEST(Bytes, Utf8) {
  const auto valid = [](std::string_view s) { return is_utf8(view_of(s)); };
  EXPECT_TRUE(valid(""));
  EXPECT_TRUE(valid("héllo €𝄞"));
  EXPECT_FALSE(valid("\xC0\xAF"));          // overlong
  EXPECT_FALSE(valid("\xED\xA0\x80"));      // surrogate
  EXPECT_FALSE(valid("\xF4\x90\x80\x80"));  // beyond U+10FFFF
  EXPECT_FALSE(valid("\xE2\x82"));          // cut
  EXPECT_FALSE(valid("\xFF"));
}

TEST(Bytes, Hex) {
  EXPECT_EQ(to_hex(Bytes{0, 0xAB, 0xFF}), "00abff");
  EXPECT_EQ(from_hex("00ABff").value(), (Bytes{0, 0xAB, 0xFF}));
  EXPECT_FALSE(from_hex("0"));
  EXPECT_FALSE(from_hex("0g"));
}

TEST(Bytes, Base32) {
  // RFC 4648, section 10, without padding.
  const std::pair<const char*, const char*> vectors[] = {{"", ""},
                                                         {"f", "my"},
                                                         {"fo", "mzxq"},
                                                         {"foo", "mzxw6"},
                                                         {"foob", "mzxw6yq"},
                                                         {"fooba", "mzxw6ytb"},
                                                         {"foobar", "mzxw6ytboi"}};
  for (const auto& [plain, text] : vectors) {
    EXPECT_EQ(to_base32(view_of(plain)), text);
    EXPECT_EQ(from_base32(text), to_bytes(plain));
  }
  EXPECT_EQ(from_base32("MZXW6YTBOI"), to_bytes("foobar"));
  for (const char* wrong : {"m", "mz1q", "my======", "mz", "mzx", "mzxw6y"}) {
    EXPECT_FALSE(from_base32(wrong)) << wrong;
  }
}

}  // namespace
}  // namespace godwit
