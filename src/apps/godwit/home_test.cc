#include "apps/godwit/home.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>

#include "base/entropy.h"

namespace godwit::cli {
namespace {

constexpr crypto::Argon2Cost kCheap{.passes = 1, .memory_kib = 8};

class HomeTest : public testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/godwit-home-XXXXXX";
    ASSERT_NE(::mkdtemp(name), nullptr);
    base_ = name;
    directory_ = base_ / "home";
  }
  void TearDown() override { std::filesystem::remove_all(base_); }
  Home opened() { return std::move(*Home::open(directory_)); }
  static std::optional<crypto::SecretBytes> secret(std::string_view text) {
    return crypto::SecretBytes(to_bytes(text));
  }
  Result<crypto::Key> unlock(const std::optional<crypto::SecretBytes>& passphrase) {
    return opened().unlock(passphrase, entropy_, kCheap);
  }
  static mode_t mode(const std::filesystem::path& path) {
    struct stat facts{};
    EXPECT_EQ(::stat(path.c_str(), &facts), 0);
    return facts.st_mode & 0777;
  }

  SeededEntropy entropy_{1};
  std::filesystem::path base_;
  std::filesystem::path directory_;
};

TEST_F(HomeTest, IsPrivate) {
  ASSERT_TRUE(Home::open(directory_));
  ASSERT_TRUE(unlock(std::nullopt));
  EXPECT_EQ(mode(directory_), 0700U);
  EXPECT_EQ(mode(directory_ / "key"), 0600U);
}

TEST_F(HomeTest, TheKeyIsTheSameEveryTime) {
  const auto first = unlock(std::nullopt), second = unlock(std::nullopt);
  ASSERT_TRUE(first && second);
  EXPECT_TRUE(crypto::equal(first->view(), second->view()));
}

TEST_F(HomeTest, OnlyItsPassphraseOpensIt) {
  const auto first = unlock(secret("correct horse"));
  ASSERT_TRUE(first);
  EXPECT_TRUE(opened().needs_passphrase());
  const auto again = unlock(secret("correct horse"));
  ASSERT_TRUE(again);
  EXPECT_TRUE(crypto::equal(first->view(), again->view()));
  EXPECT_EQ(unlock(secret("wrong")).error().code, Code::kUnauthenticated);
  EXPECT_EQ(unlock(secret("")).error().code, Code::kUnauthenticated);
  EXPECT_EQ(unlock(std::nullopt).error().code, Code::kUnauthenticated);
}

TEST_F(HomeTest, AnUnlockedHomeRefusesAPassphrase) {
  ASSERT_TRUE(unlock(std::nullopt));
  EXPECT_EQ(unlock(secret("believed to protect")).error().code, Code::kUnauthenticated);
}

TEST_F(HomeTest, ADamagedKeyIsToldFromAWrongPassphrase) {
  ASSERT_TRUE(unlock(secret("p")));
  std::ofstream(directory_ / "key", std::ios::trunc) << "nonsense";
  EXPECT_EQ(unlock(secret("p")).error().code, Code::kCorrupt);
}

TEST_F(HomeTest, ANewerLayoutIsRefused) {
  ASSERT_TRUE(Home::open(directory_));
  std::ofstream(directory_ / "FORMAT", std::ios::trunc) << "godwit home 2\n";
  EXPECT_EQ(Home::open(directory_).error().code, Code::kUnsupported);
}

TEST_F(HomeTest, ADirectoryWithOtherThingsIsNotTaken) {
  std::filesystem::create_directory(directory_);
  ::chmod(directory_.c_str(), 0755);
  std::ofstream(directory_ / "thesis.tex") << "x";
  EXPECT_EQ(Home::open(directory_).error().code, Code::kForbidden);
  EXPECT_EQ(mode(directory_), 0755U);
}

TEST_F(HomeTest, TheServerMayBeConfigured) {
  const Home home = opened();
  EXPECT_EQ(*home.configured_server(), "");
  std::ofstream(directory_ / "godwit.toml") << "server = \"chat.example.org:7443\"\n";
  EXPECT_EQ(*home.configured_server(), "chat.example.org:7443");
  std::ofstream(directory_ / "godwit.toml", std::ios::trunc) << "server = \n";
  EXPECT_EQ(home.configured_server().error().code, Code::kInvalid);
}

TEST_F(HomeTest, APassphraseFileGivesItsFirstLine) {
  std::filesystem::create_directory(directory_);
  std::ofstream(directory_ / "pass") << "secret\nrest\n";
  EXPECT_EQ(text_of(read_passphrase_file((directory_ / "pass").string())->view()), "secret");
  EXPECT_FALSE(read_passphrase_file((directory_ / "none").string()));
}

}  // namespace
}  // namespace godwit::cli
