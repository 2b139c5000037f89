#include "adapters/sqlite/sqlite_store.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "ports/search_conformance.h"
#include "ports/store_conformance.h"
#include "ports/test_directory.h"

namespace godwit::adapters {
namespace {

namespace fs = std::filesystem;
using ports::Batch;
using ports::Durability;
using ports::Space;
using ports::Store;
using ports::StoreConformance;
using ports::TestDirectory;

constexpr ByteArray<32> kKey = {1, 2, 3, 4, 5, 6, 7, 8};
constexpr ByteArray<32> kOtherKey = {1, 2, 3, 4, 5, 6, 7, 9};

std::unique_ptr<Store> open_or_die(const std::string& path) {
  auto store = open_sqlite_store(path, kKey);
  if (!store) ADD_FAILURE() << store.error().text;
  return store ? std::move(*store) : nullptr;
}

struct Medium final : ports::StoreMedium {
  TestDirectory directory;
  std::unique_ptr<Store> store;
  Store& reopen() override {
    store.reset();
    store = open_or_die(directory.path() + "/store");
    return *store;
  }
};
INSTANTIATE_TEST_SUITE_P(Sqlite, StoreConformance,
                         testing::Values(ports::StoreUnderTest{
                             [] { return std::make_unique<Medium>(); }, Space::kMessage,
                             Space::kSession}));

Result<void> put(Store& store, std::string_view key, Bytes value,
                 Durability durability = Durability::kSafe) {
  Batch batch{to_bytes("p"), {}};
  batch.put(Space::kMessage, to_bytes(key), std::move(value));
  return store.write(std::vector{batch}, durability);
}
std::uint64_t rows(Store& store) { return store.count(Space::kMessage).value_or(~0ULL); }

void damage(const std::string& path, std::uintmax_t at, std::uintmax_t size) {
  std::fstream file(path, std::ios::binary | std::ios::in | std::ios::out);
  file.seekp(static_cast<std::streamoff>(at));
  for (std::uintmax_t i = 0; i < size; ++i) file.put('\x55');
}

class SqliteStoreTest : public testing::Test {
 protected:
  // A store with a few hundred KiB in its file, closed.
  void fill() {
    const auto store = open_or_die(path_);
    for (int i = 0; i < 200; ++i) ASSERT_TRUE(put(*store, std::to_string(i), Bytes(1000, 0x42)));
    ASSERT_TRUE(store->expire(Instant{1}));
  }
  Code error_with(StoreKey key) {
    const auto opened = open_sqlite_store(path_, key);
    if (opened) return Code{};
    EXPECT_NE(opened.error().text.find(path_), std::string::npos) << opened.error().text;
    return opened.error().code;
  }
  const TestDirectory directory_;
  const std::string path_ = directory_.path() + "/store";
};

TEST_F(SqliteStoreTest, NothingIsReadableOnDisk) {
  const auto store = open_or_die(path_);
  ASSERT_TRUE(put(*store, "canary-key", to_bytes("canary-value")));
  for (const auto& entry : fs::directory_iterator(directory_.path())) {
    struct stat status{};
    ASSERT_EQ(stat(entry.path().c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 0777U, 0600U) << entry.path();
    std::ifstream file(entry.path(), std::ios::binary);
    const std::string octets((std::istreambuf_iterator<char>(file)), {});
    EXPECT_EQ(octets.find("canary"), std::string::npos) << entry.path();
    EXPECT_EQ(octets.find("SQLite format"), std::string::npos) << entry.path();
  }
}

TEST_F(SqliteStoreTest, AWrongKeyIsToldFromDamage) {
  fill();
  EXPECT_EQ(error_with(kOtherKey), Code::kUnauthenticated);
  EXPECT_EQ(rows(*open_or_die(path_)), 200U) << "the failed attempt changed nothing";
  damage(path_, 100, 16);
  EXPECT_EQ(error_with(kKey), Code::kCorrupt);
  EXPECT_EQ(error_with(kOtherKey), Code::kUnauthenticated);
}

TEST_F(SqliteStoreTest, ADamagedKeyFileIsWrittenAgain) {
  fill();
  damage(path_ + "-key", 100, 16);
  EXPECT_EQ(rows(*open_or_die(path_)), 200U);
  damage(path_, 100, 16);
  EXPECT_EQ(error_with(kKey), Code::kCorrupt);
}

TEST_F(SqliteStoreTest, DamageIsReportedNotServed) {
  fill();
  damage(path_, fs::file_size(path_) / 2, 64);
  const auto opened = open_sqlite_store(path_, kKey);
  ASSERT_TRUE(opened) << "the first page is whole";
  const auto found = (*opened)->scan({to_bytes("p"), Space::kMessage, {}, {}});
  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().code, Code::kCorrupt);

  // A write that meets the damage half-way is undone.
  Batch batch{to_bytes("p"), {}};
  batch.put(Space::kSession, to_bytes("half"), {});
  batch.erase_range(Space::kMessage, {}, {});
  EXPECT_EQ((*opened)->write(std::vector{batch}, Durability::kSafe).error().code, Code::kCorrupt);
  EXPECT_EQ((*opened)->count(Space::kSession).value_or(~0ULL), 0U);
  Batch elsewhere{to_bytes("p"), {}};
  elsewhere.put(Space::kSession, to_bytes("whole"), {});
  EXPECT_TRUE((*opened)->write(std::vector{elsewhere}, Durability::kSafe));
}

TEST_F(SqliteStoreTest, AFileThatIsGoneOrCutIsNotStartedAnew) {
  fill();
  fs::resize_file(path_, 8192);
  const auto cut = open_sqlite_store(path_, kKey);
  if (cut) {
    EXPECT_EQ((*cut)->scan({to_bytes("p"), Space::kMessage, {}, {}}).error().code, Code::kCorrupt);
  } else {
    EXPECT_EQ(cut.error().code, Code::kCorrupt);
  }
  fs::resize_file(path_, 0);
  EXPECT_EQ(error_with(kKey), Code::kCorrupt);
  fs::remove(path_);
  EXPECT_EQ(error_with(kKey), Code::kCorrupt);
}

TEST_F(SqliteStoreTest, ASecondOpenerIsToldWhy) {
  const auto store = open_or_die(path_);
  EXPECT_EQ(error_with(kKey), Code::kConflict);
  const pid_t child = fork();
  if (child == 0) {
    const auto opened = open_sqlite_store(path_, kKey);
    _exit(!opened && opened.error().code == Code::kConflict ? 0 : 1);
  }
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_EQ(status, 0);
}

TEST_F(SqliteStoreTest, ADirectoryThatIsNotThereIsAnError) {
  const auto opened = open_sqlite_store(directory_.path() + "/none/store", kKey);
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, Code::kIo);
}

TEST_F(SqliteStoreTest, AKilledProcessLosesNothingItWasPromised) {
  int pipe_ends[2];
  ASSERT_EQ(pipe(pipe_ends), 0);
  const pid_t child = fork();
  if (child == 0) {
    const auto store = open_or_die(path_);
    for (int i = 0; i < 50; ++i) {
      if (!put(*store, std::to_string(i), {},
               i % 10 == 0 ? Durability::kSafe : Durability::kFast)) {
        _exit(1);
      }
    }
    if (::write(pipe_ends[1], "!", 1) != 1) _exit(1);
    pause();
    _exit(0);
  }
  char ready = 0;
  close(pipe_ends[1]);
  ASSERT_EQ(read(pipe_ends[0], &ready, 1), 1);
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
  close(pipe_ends[0]);
  EXPECT_EQ(rows(*open_or_die(path_)), 50U);
}

TEST_F(SqliteStoreTest, FindsWords) { expect_search_works(*open_or_die(path_)); }

TEST_F(SqliteStoreTest, AFullDiskLosesNothingAndHealsItself) {
  const std::string& disk = directory_.path();
  if (mount("godwit-test", disk.c_str(), "tmpfs", MS_NOSUID | MS_NODEV, "size=4m") != 0) {
    GTEST_SKIP() << "needs the right to mount a small tmpfs";
  }
  {
    const auto store = open_or_die(path_);
    const std::string filler = disk + "/filler";
    const int fd = open(filler.c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    EXPECT_EQ(posix_fallocate(fd, 0, 2 << 20), 0);
    close(fd);
    std::uint64_t stored = 0;
    Result<void> written;
    while (stored < 1000 && (written = put(*store, std::to_string(stored), Bytes(20000, 1)))) {
      ++stored;
    }
    EXPECT_TRUE(!written && written.error().code == Code::kFull);
    EXPECT_EQ(rows(*store), stored);
    fs::remove(filler);
    EXPECT_TRUE(put(*store, "healed", {}));
    EXPECT_EQ(rows(*store), stored + 1);
  }
  EXPECT_TRUE(open_or_die(path_)->get(view_of("p"), Space::kMessage, view_of("healed")));
  EXPECT_EQ(umount(disk.c_str()), 0);
}

}  // namespace
}  // namespace godwit::adapters
