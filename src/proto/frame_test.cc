#include "proto/frame.h"

#include <gtest/gtest.h>

namespace godwit::proto {
namespace {

TEST(Frame, AnyCutOfTheStreamGivesTheSameFrames) {
  Bytes stream;
  for (std::size_t i = 1; i <= 40; ++i) put_frame(stream, {Kind::kPing, i, Bytes(i * 7, 1)});
  for (std::size_t step = 1; step < 200; step += 13) {
    FrameReader reader;
    std::uint64_t seen = 0;
    for (std::size_t at = 0; at < stream.size(); at += step) {
      ASSERT_TRUE(reader.feed(ByteView(stream).subspan(at, std::min(step, stream.size() - at))));
      while (true) {
        auto frame = reader.next();
        ASSERT_TRUE(frame);
        if (!*frame) break;
        EXPECT_EQ((*frame)->id, ++seen);
        EXPECT_EQ((*frame)->body.size(), seen * 7);
      }
    }
    EXPECT_EQ(seen, 40u);
    EXPECT_TRUE(reader.idle());
  }
}

TEST(Frame, OversizeIsRefusedBeforeItIsBuffered) {
  Bytes stream;
  put_varint(stream, limits::kMaxFrame + 1);
  EXPECT_EQ(FrameReader().feed(stream).error().code, Code::kTooLarge);
  EXPECT_EQ(FrameReader().feed(Bytes(10, 0xFF)).error().code, Code::kTooLarge);
}

TEST(Frame, MalformedIsCorrupt) {
  Bytes stream;
  put_varint(stream, 2);
  append(stream, Bytes{0x0A, 0x05});
  FrameReader reader;
  ASSERT_TRUE(reader.feed(stream));
  EXPECT_EQ(reader.next().error().code, Code::kCorrupt);
}

}  // namespace
}  // namespace godwit::proto
