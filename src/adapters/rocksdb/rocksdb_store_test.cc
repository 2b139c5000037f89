#include "adapters/rocksdb/rocksdb_store.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

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

std::unique_ptr<Store> open_or_die(const std::string& directory) {
  auto store = open_rocksdb_store(directory);
  if (!store) ADD_FAILURE() << store.error().text;
  return store ? std::move(*store) : nullptr;
}

struct Medium final : ports::StoreMedium {
  TestDirectory directory;
  std::unique_ptr<Store> store;
  Store& reopen() override {
    store.reset();
    store = open_or_die(directory.path());
    return *store;
  }
};
INSTANTIATE_TEST_SUITE_P(RocksDb, StoreConformance,
                         testing::Values(ports::StoreUnderTest{
                             [] { return std::make_unique<Medium>(); }, Space::kQueue,
                             Space::kAccount}));

Batch row(std::string_view key, Bytes value, Instant expires = kNever) {
  Batch batch{to_bytes("p"), {}};
  batch.put(Space::kQueue, to_bytes(key), std::move(value), expires);
  return batch;
}
Result<void> put(Store& store, std::string_view key, Bytes value, Instant expires = kNever,
                 Durability durability = Durability::kSafe) {
  return store.write(std::vector{row(key, std::move(value), expires)}, durability);
}

bool anywhere_in(const std::string& directory, std::string_view needle) {
  for (const auto& entry : fs::recursive_directory_iterator(directory)) {
    if (!entry.is_regular_file()) continue;
    std::ifstream file(entry.path(), std::ios::binary);
    const std::string octets((std::istreambuf_iterator<char>(file)), {});
    if (octets.find(needle) != std::string::npos) return true;
  }
  return false;
}

TEST(RocksDbStore, ErasedReplacedAndExpiredOctetsLeaveTheDisk) {
  const TestDirectory directory;
  const auto store = open_or_die(directory.path());
  for (int i = 0; i < 100; ++i) {
    const std::string key = std::to_string(i);
    ASSERT_TRUE(put(*store, "erased" + key, to_bytes("canary-erased-" + key)));
    ASSERT_TRUE(put(*store, "expiring" + key, to_bytes("canary-expiring-" + key), Instant{5000}));
    ASSERT_TRUE(put(*store, "replaced" + key, to_bytes("canary-replaced-" + key)));
    ASSERT_TRUE(put(*store, "kept" + key, to_bytes("canary-kept-" + key)));
    if (i == 50) {
      ASSERT_TRUE(store->expire(Instant{1000}));  // some of it in older files
    }
  }
  EXPECT_TRUE(anywhere_in(directory.path(), "canary-erased"));
  EXPECT_TRUE(anywhere_in(directory.path(), "canary-expiring"));
  ASSERT_TRUE(store->expire(Instant{1000}));
  for (int i = 0; i < 100; ++i) ASSERT_TRUE(put(*store, "replaced" + std::to_string(i), {}));
  ASSERT_TRUE(store->expire(Instant{1000}));
  EXPECT_FALSE(anywhere_in(directory.path(), "canary-replaced"));
  Batch erase{to_bytes("p"), {}};
  erase.erase_range(Space::kQueue, to_bytes("erased"), to_bytes("erased9"));
  for (int i = 0; i < 100; ++i) erase.erase(Space::kQueue, to_bytes("erased" + std::to_string(i)));
  ASSERT_TRUE(store->write(std::vector{erase}, Durability::kFast));
  ASSERT_TRUE(store->expire(Instant{5000}));
  EXPECT_FALSE(anywhere_in(directory.path(), "canary-erased"));
  EXPECT_FALSE(anywhere_in(directory.path(), "canary-expiring"));
  EXPECT_TRUE(anywhere_in(directory.path(), "canary-kept"));
  EXPECT_EQ(*store->count(Space::kQueue), 200U);
}

// Enough for files and levels, whose filters and indexes a read goes by.
TEST(RocksDbStore, FindsRowsOfOnePartitionAmongMany) {
  constexpr int kPartitions = 20'000;
  const TestDirectory directory;
  const auto store = open_or_die(directory.path());
  const auto name = [](int i) { return to_bytes(std::to_string(i)); };  // some begin others
  for (const char* key : {"b", "a", "c"}) {
    std::vector<Batch> batches;
    for (int i = 0; i < kPartitions; ++i) {
      batches.push_back({name(i), {}});
      batches.back().put(Space::kQueue, to_bytes(key), Bytes(300, static_cast<std::uint8_t>(i)));
    }
    ASSERT_TRUE(store->write(batches, Durability::kSafe));
  }
  const auto keys = [&](const ports::Scan& scan) {
    std::string out;
    const auto rows = store->scan(scan);
    EXPECT_TRUE(rows);
    for (const ports::Row& found : *rows) out += text_of(found.key);
    return out;
  };
  for (int i = 0; i < kPartitions; i += 777) {
    EXPECT_EQ(keys({.partition = name(i), .space = Space::kQueue}), "abc");
    EXPECT_EQ(keys({.partition = name(i), .space = Space::kQueue, .reverse = true}), "cba");
    EXPECT_EQ(keys({.partition = name(i), .space = Space::kQueue, .first = to_bytes("b")}), "bc");
    EXPECT_EQ(keys({.partition = name(i), .space = Space::kQueue, .end = to_bytes("b")}), "a");
    EXPECT_TRUE(store->get(name(i), Space::kQueue, view_of("b")));
    EXPECT_EQ(keys({.partition = name(kPartitions + i), .space = Space::kQueue}), "");
    EXPECT_EQ(keys({.partition = name(i), .space = Space::kAccount}), "");
  }
  EXPECT_EQ(store->count(Space::kQueue), 3 * kPartitions);
  const auto walked = store->scan({.space = Space::kQueue, .limit = SIZE_MAX, .partitions = true});
  ASSERT_TRUE(walked);
  EXPECT_EQ(walked->size(), static_cast<std::size_t>(kPartitions));
}

TEST(RocksDbStore, AKilledProcessLosesNothingItWasPromised) {
  const TestDirectory directory;
  int pipe_ends[2];
  ASSERT_EQ(pipe(pipe_ends), 0);
  const pid_t child = fork();
  if (child == 0) {
    const auto store = open_or_die(directory.path());
    for (int i = 0; i < 100; ++i) {
      if (!put(*store, std::to_string(i), to_bytes("v"), kNever,
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
  EXPECT_EQ(*open_or_die(directory.path())->count(Space::kQueue), 100U);
}

TEST(RocksDbStore, ASecondOpenerIsToldWhy) {
  const TestDirectory directory;
  const auto store = open_or_die(directory.path());
  const auto second = open_rocksdb_store(directory.path());
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, Code::kConflict);
  EXPECT_NE(second.error().text.find(directory.path()), std::string::npos);
  const pid_t child = fork();
  if (child == 0) {
    const auto third = open_rocksdb_store(directory.path());
    _exit(!third && third.error().code == Code::kConflict ? 0 : 1);
  }
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_EQ(status, 0);
}

TEST(RocksDbStore, ADirectoryThatCannotBeIsAnError) {
  const auto store = open_rocksdb_store("/proc/no/such/directory");
  ASSERT_FALSE(store);
  EXPECT_EQ(store.error().code, Code::kIo);
}

// Overwrites a few octets in the middle of every table file.
TEST(RocksDbStore, DamagedFilesAreReportedNotServed) {
  const TestDirectory directory;
  {
    const auto store = open_or_die(directory.path());
    for (int i = 0; i < 200; ++i) {
      ASSERT_TRUE(put(*store, std::to_string(i), Bytes(1000, 0x42)));
    }
    ASSERT_TRUE(store->expire(Instant{1}));
  }
  int damaged = 0;
  for (const auto& entry : fs::directory_iterator(directory.path())) {
    if (entry.path().extension() != ".sst") continue;
    std::fstream file(entry.path(), std::ios::binary | std::ios::in | std::ios::out);
    const auto middle = static_cast<std::streamoff>(fs::file_size(entry.path()) / 2);
    file.seekp(middle);
    file.write("\x11\x22\x33\x44", 4);
    ++damaged;
  }
  ASSERT_GT(damaged, 0);
  const auto store = open_rocksdb_store(directory.path());
  if (!store) {
    EXPECT_EQ(store.error().code, Code::kCorrupt);
    return;
  }
  const auto rows = (*store)->scan({to_bytes("p"), Space::kQueue, {}, {}});
  ASSERT_FALSE(rows);
  EXPECT_EQ(rows.error().code, Code::kCorrupt);
}

TEST(RocksDbStore, ADamagedManifestIsReportedWithItsDirectory) {
  const TestDirectory directory;
  open_or_die(directory.path());
  fs::resize_file(directory.path() + "/CURRENT", 3);
  const auto store = open_rocksdb_store(directory.path());
  ASSERT_FALSE(store);
  EXPECT_EQ(store.error().code, Code::kCorrupt);
  EXPECT_NE(store.error().text.find(directory.path()), std::string::npos);
}

// A disk of 64 MiB, to fill at will.
class SmallDisk : public testing::Test {
 protected:
  void SetUp() override {
    if (mount("godwit-test", path_.c_str(), "tmpfs", MS_NOSUID | MS_NODEV, "size=64m") != 0) {
      GTEST_SKIP() << "needs the right to mount a small tmpfs";
    }
    mounted_ = true;
    store_ = open_or_die(path_ + "/store");
  }
  void TearDown() override {
    store_.reset();
    if (mounted_) {
      EXPECT_EQ(umount(path_.c_str()), 0);
    }
  }
  // Takes all of the disk but `left` octets.
  void fill(std::uintmax_t left) {
    const std::string filler = path_ + "/filler";
    const int fd = open(filler.c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    const auto size = static_cast<off_t>(fs::space(path_).available - left);
    EXPECT_EQ(posix_fallocate(fd, 0, size), 0);
    close(fd);
  }
  void free() { fs::remove(path_ + "/filler"); }
  std::uint64_t rows() { return store_->count(Space::kQueue).value_or(~0ULL); }

  const TestDirectory directory_;
  const std::string path_ = directory_.path();
  std::unique_ptr<Store> store_;
  bool mounted_ = false;
};

TEST_F(SmallDisk, TakesNoMoreWhenAlmostFullButStillErases) {
  std::uint64_t stored = 0;
  Result<void> written;
  while (stored < 2000 && (written = put(*store_, std::to_string(stored), Bytes(65536, 1)))) {
    ++stored;
  }
  ASSERT_FALSE(written);
  EXPECT_EQ(written.error().code, Code::kFull);
  EXPECT_EQ(rows(), stored);
  Batch erase{to_bytes("p"), {}};
  erase.erase_range(Space::kQueue, {}, {});
  EXPECT_TRUE(store_->write(std::vector{erase}, Durability::kSafe));
  EXPECT_TRUE(store_->expire(Instant{0}));
  EXPECT_TRUE(put(*store_, "room again", {}));
  EXPECT_EQ(rows(), 1U);
}

TEST_F(SmallDisk, HealsItselfAfterNothingWasLeft) {
  ASSERT_TRUE(put(*store_, "kept", Bytes(65536, 1)));
  fill(0);
  Batch erase{to_bytes("p"), {}};
  Result<void> written;
  for (int i = 0; i < 2000 && written; ++i) {
    erase.erase(Space::kQueue, Bytes(1000, static_cast<std::uint8_t>(i)));
    written = store_->write(std::vector{erase}, Durability::kSafe);
  }
  ASSERT_FALSE(written);
  EXPECT_EQ(written.error().code, Code::kFull);
  EXPECT_EQ(rows(), 1U) << "what was stored can be read";
  free();
  EXPECT_TRUE(put(*store_, "healed", {}));
  store_.reset();
  store_ = open_or_die(path_ + "/store");
  EXPECT_EQ(rows(), 2U);
}

}  // namespace
}  // namespace godwit::adapters
