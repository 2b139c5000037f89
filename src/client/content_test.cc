#include "client/content.h"

#include <gtest/gtest.h>

namespace godwit::client {
namespace {

Content example(std::string text) {
  SeededEntropy entropy(1);
  return {.id = MessageId::random(entropy),
          .composed = {1000},
          .sender_phone = "+33612345678",
          .stream = 5,
          .number = 1,
          .text = Text{std::move(text)}};
}

TEST(Content, RoundTripsPadded) {
  for (const std::size_t size : {0u, 1u, 100u, 159u, 160u, 65536u}) {
    const Content content = example(std::string(size, 'a'));
    const Bytes sealed = seal_content(content);
    EXPECT_EQ(sealed.size() % kPadding, 0u);
    const auto opened = open_content(sealed);
    ASSERT_TRUE(opened) << size;
    EXPECT_EQ(encode(*opened), encode(content));
    EXPECT_EQ(opened->text->body.size(), size);
  }
}

TEST(Content, ShortTextsHaveOneLength) {
  EXPECT_EQ(seal_content(example("")).size(), seal_content(example(std::string(60, 'x'))).size());
}

TEST(Content, RefusesWhatNobodySealed) {
  EXPECT_FALSE(open_content({}));
  EXPECT_FALSE(open_content(Bytes(kPadding)));
  EXPECT_FALSE(open_content(Bytes{0x80}));  // no identification
  Bytes sealed = seal_content(example("hello"));
  while (sealed.back() == 0) sealed.pop_back();
  sealed.pop_back();
  EXPECT_FALSE(open_content(sealed));
  EXPECT_FALSE(open_content(seal_content(example("\xff\xfe"))));
}

}  // namespace
}  // namespace godwit::client
