#include "client/types.h"

#include <gtest/gtest.h>

#include "client/rows.h"

namespace godwit::client {
namespace {

// A group's id is chosen by whoever makes the group.
TEST(Types, AGroupWithAPersonsIdIsAnotherChat) {
  SeededEntropy entropy(1);
  const UserId person = UserId::random(entropy);
  const ChatId with_person = person;
  const ChatId with_group = GroupId{person.octets};
  EXPECT_NE(with_person, with_group);
  EXPECT_NE(message_row_key(with_person, 1), message_row_key(with_group, 1));
  EXPECT_EQ(with_group.user(), UserId{});
  EXPECT_EQ(with_person.group(), GroupId{});
}

TEST(Types, AKeyTellsItsChat) {
  SeededEntropy entropy(1);
  const ChatId group = GroupId::random(entropy);
  EXPECT_EQ(chat_of(message_row_key(group, 7)), group);
  EXPECT_TRUE(chat_of(chat_key(group)) == group);
  Bytes unknown = chat_key(group);
  unknown[0] = 9;
  EXPECT_TRUE(chat_of(unknown).is_nil());
  EXPECT_TRUE(chat_of(ByteView(unknown).first(16)).is_nil());
}

TEST(Types, NobodyIsNoChat) {
  EXPECT_TRUE(ChatId(UserId{}).is_nil());
  EXPECT_TRUE(ChatId(GroupId{}).is_nil());
}

}  // namespace
}  // namespace godwit::client
