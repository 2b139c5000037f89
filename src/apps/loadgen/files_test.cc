#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>

#include "apps/loadgen/codes.h"
#include "apps/loadgen/ledger.h"
#include "apps/loadgen/people.h"
#include "crypto/system_entropy.h"

namespace godwit::loadgen {
namespace {

class FilesTest : public testing::Test {
 protected:
  ~FilesTest() override { unlink(path_.c_str()); }
  void write(const std::string& text, std::ios::openmode mode) {
    std::ofstream(path_, mode) << text;
  }
  static std::string line(const std::string& phone, const std::string& code) {
    return "{\"phone\":\"" + phone + "\",\"code\":\"" + code + "\"}\n";
  }
  const std::string path_ = testing::TempDir() + "loadgen_test." + std::to_string(getpid());
};

TEST_F(FilesTest, CodesAreReadAsTheyComeAndWhenTheFileStartsAnew) {
  Codes codes(path_);
  EXPECT_EQ(codes.take("+1"), "");
  write(line("+1", "111111") + line("+2", "222222") + "{\"phone\":\"+3\",\"co", std::ios::app);
  EXPECT_EQ(codes.take("+2"), "222222");
  EXPECT_EQ(codes.take("+2"), "");
  EXPECT_EQ(codes.take("+3"), "");
  write("de\":\"333333\"}\n", std::ios::app);
  EXPECT_EQ(codes.take("+3"), "333333");
  write(line("+4", "444444"), std::ios::trunc);
  EXPECT_EQ(codes.take("+4"), "444444");
  EXPECT_EQ(codes.take("+1"), "111111");
}

TEST_F(FilesTest, PeopleAreKept) {
  crypto::SystemEntropy entropy;
  People people{crypto::KeyPair::generate(entropy), entropy.draw<32>(), {}};
  for (int i = 0; i < 3; ++i) people.users.push_back(UserId::random(entropy));
  ASSERT_TRUE(people.save(path_));
  const auto loaded = People::load(path_);
  ASSERT_TRUE(loaded);
  EXPECT_EQ(loaded->key.public_key, people.key.public_key);
  EXPECT_EQ(loaded->server, people.server);
  EXPECT_EQ(loaded->users, people.users);
  write("something else", std::ios::trunc);
  EXPECT_EQ(People::load(path_).error().code, Code::kCorrupt);
}

TEST(Ledger, CountsWhatIsLostAndWhatComesTwice) {
  Ledger ledger(4);
  std::uint32_t number = 0;
  for (int i = 0; i < 4; ++i) ASSERT_TRUE(ledger.next(number));
  EXPECT_FALSE(ledger.next(number));
  for (std::uint32_t i = 0; i < 3; ++i) ledger.accepted(i);
  EXPECT_TRUE(ledger.delivered(0));
  EXPECT_FALSE(ledger.delivered(0));
  EXPECT_TRUE(ledger.delivered(3));  // before its sender hears
  const Ledger::Sum sum = ledger.sum();
  EXPECT_EQ(sum.sent, 4U);
  EXPECT_EQ(sum.accepted, 3U);
  EXPECT_EQ(sum.delivered, 2U);
  EXPECT_EQ(sum.lost, 2U);
}

}  // namespace
}  // namespace godwit::loadgen
