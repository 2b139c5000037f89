#include "adapters/localfs/data_dir.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>

#include "ports/test_directory.h"

namespace godwit::adapters {
namespace {

using ports::TestDirectory;

using Kind = DataDir::Kind;

void write_file(const std::string& path, const std::string& text) {
  std::ofstream(path, std::ios::trunc) << text;
}
::testing::AssertionResult says(const ports::OpenError& error, std::string_view what) {
  if (error.text.find(what) != std::string::npos) return testing::AssertionSuccess();
  return testing::AssertionFailure() << "\"" << error.text << "\" does not say " << what;
}

TEST(DataDir, IsCreatedForItsOwnerAlone) {
  const TestDirectory parent;
  const std::string path = parent.path() + "/a/b/data";
  const auto made = DataDir::open(path, Kind::kServer);
  ASSERT_TRUE(made) << made.error().text;
  struct stat status{};
  ASSERT_EQ(stat(path.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777U, 0700U);
  EXPECT_EQ(*made / "store", path + "/store");
}

TEST(DataDir, OpensAgainAfterItsHolderIsGone) {
  const TestDirectory parent;
  const std::string path = parent.path() + "/data";
  ASSERT_TRUE(DataDir::open(path, Kind::kServer));
  ASSERT_TRUE(DataDir::open(path, Kind::kServer));
}

TEST(DataDir, ASecondOpenerIsToldWhoHoldsIt) {
  const TestDirectory parent;
  const std::string path = parent.path() + "/data";
  const auto first = DataDir::open(path, Kind::kServer);
  const auto second = DataDir::open(path, Kind::kServer);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, Code::kConflict);
  EXPECT_TRUE(says(second.error(), "process " + std::to_string(getpid())));
  EXPECT_TRUE(says(second.error(), path));
}

TEST(DataDir, AnotherFormatIsNamedWithOurs) {
  const TestDirectory parent;
  const std::string path = parent.path() + "/data";
  ASSERT_TRUE(DataDir::open(path, Kind::kServer));
  write_file(path + "/FORMAT", "godwit server data, format 7\n");
  const auto newer = DataDir::open(path, Kind::kServer);
  ASSERT_FALSE(newer);
  EXPECT_EQ(newer.error().code, Code::kUnsupported);
  EXPECT_TRUE(says(newer.error(), "has format 7"));
  EXPECT_TRUE(says(newer.error(), "reads format 1"));
}

TEST(DataDir, AnotherProgramsDirectoryIsRefused) {
  const TestDirectory parent;
  const std::string path = parent.path() + "/data";
  ASSERT_TRUE(DataDir::open(path, Kind::kServer));
  const auto client = DataDir::open(path, Kind::kClient);
  ASSERT_FALSE(client);
  EXPECT_TRUE(says(client.error(), "not a godwit client's"));
  write_file(path + "/FORMAT", "");
  EXPECT_EQ(DataDir::open(path, Kind::kServer).error().code, Code::kUnsupported);
}

TEST(DataDir, ADirectoryOpenToOthersIsRefused) {
  const TestDirectory parent;
  const std::string path = parent.path() + "/data";
  ASSERT_TRUE(DataDir::open(path, Kind::kServer));
  ASSERT_EQ(chmod(path.c_str(), 0755), 0);
  const auto opened = DataDir::open(path, Kind::kServer);
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, Code::kForbidden);
  EXPECT_TRUE(says(opened.error(), "chmod 700"));
}

TEST(DataDir, APathThatIsAFileIsRefused) {
  const TestDirectory parent;
  write_file(parent.path() + "/file", "");
  EXPECT_EQ(DataDir::open(parent.path() + "/file", Kind::kServer).error().code, Code::kIo);
  EXPECT_EQ(DataDir::open(parent.path() + "/file/data", Kind::kServer).error().code, Code::kIo);
}

}  // namespace
}  // namespace godwit::adapters
