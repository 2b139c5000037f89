// Times finding messages by their words, in a client's encrypted store.
//   search_bench MESSAGES
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <random>
#include <string>

#include "adapters/sqlite/sqlite_store.h"
#include "client/engine.h"
#include "client/search.h"

namespace godwit::bench {
namespace {

using ports::Space;
using Clock = std::chrono::steady_clock;

template <typename T>
T must(Result<T> result) {
  if (!result) {
    std::fprintf(stderr, "search_bench: %s\n", std::string(result.error().text).c_str());
    std::exit(1);
  }
  if constexpr (!std::is_void_v<T>) return std::move(*result);
}

// Words of two to four syllables. A few are in most messages and most are rare, as people speak.
std::string word(std::mt19937_64& luck) {
  static constexpr const char* kSyllables[] = {"ba",  "ke",  "li",  "mo", "nu",  "ra",
                                               "se",  "ti",  "vo",  "zu", "pla", "gre",
                                               "dri", "sko", "fen", "har"};
  auto rank = static_cast<std::uint64_t>(
      std::min(20000.0, 1.0 / (1e-5 + std::generate_canonical<double, 53>(luck))));
  std::string out;
  for (int i = 0; i < 2 || rank > 0; ++i, rank /= 16) out += kSyllables[rank % 16];
  return out;
}

void fill(ports::Store& store, std::uint64_t messages) {
  std::mt19937_64 luck(7);
  ports::Batch batch{client::Engine::partition(), {}};
  for (std::uint64_t order = 1; order <= messages; ++order) {
    client::Message message;
    message.id.octets.fill(static_cast<std::uint8_t>(order));
    UserId other;
    other.octets.fill(static_cast<std::uint8_t>(1 + luck() % 40));
    message.chat = other;
    message.composed = {static_cast<std::int64_t>(1'700'000'000'000 + order * 60'000)};
    for (std::uint64_t left = 3 + luck() % 15; left > 0; --left) message.text += word(luck) + " ";
    if (order % (messages / 20) == 0) message.text += "aardvark";
    batch.put(Space::kMessage, client::message_row_key(message.chat, order), encode(message));
    batch.put(Space::kSearch, client::search_row_key(order, message.chat),
              client::search_row(client::searchable(message), message.chat));
    if (batch.mutations.size() < 2000 && order != messages) continue;
    must(store.write({&batch, 1}, ports::Durability::kSafe));
    batch.mutations.clear();
  }
}

// Each query cold in the process's own caches as far as a second run is: median and worst of 40.
void row(ports::Store& store, const char* name, const std::vector<std::string>& queries,
         client::ChatId chat) {
  std::vector<double> ms;
  std::size_t found = 0;
  for (int i = 0; i < 40; ++i) {
    const std::string& query = queries[static_cast<std::size_t>(i) % queries.size()];
    const auto began = Clock::now();
    found = must(client::search(store, query, chat, 50)).size();
    ms.push_back(std::chrono::duration<double, std::milli>(Clock::now() - began).count());
  }
  std::ranges::sort(ms);
  std::printf("| %s | %zu | %.2f | %.2f |\n", name, found, ms[ms.size() / 2], ms.back());
}

int run(std::uint64_t messages) {
  const std::string path = std::filesystem::temp_directory_path() / "godwit-search-bench.db";
  const auto clear = [&] {
    for (const char* part : {"", "-wal", "-shm", "-key"}) std::filesystem::remove(path + part);
  };
  clear();
  {
    const ByteArray<32> key{1, 2, 3};
    auto opened = adapters::open_sqlite_store(path, key);
    if (!opened) return 1;
    ports::Store& store = **opened;
    fill(store, messages);
    std::printf("| search in %llu messages | found | median ms | worst ms |\n|---|---|---|---|\n",
                static_cast<unsigned long long>(messages));
    UserId other;
    other.octets.fill(7);
    row(store, "a rare word", {"aardvark"}, {});
    row(store, "two words, by their beginnings", {"aard ba", "bake ras", "mo ti"}, {});
    row(store, "a word of every second message", {"baba"}, {});
    row(store, "a common beginning, one chat of 40", {"ba", "ke"}, other);
    row(store, "nothing", {"xylophone", "quagga"}, {});
  }
  clear();
  return 0;
}

}  // namespace
}  // namespace godwit::bench

int main(int argc, char** argv) {
  return godwit::bench::run(argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 100'000);
}
