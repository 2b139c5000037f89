// Counts the rows of a stopped server's store: store_rows DATA prints "space rows" per line.
#include <cstdio>
#include <string>

#include "adapters/rocksdb/rocksdb_store.h"

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: store_rows DATA\n");
    return 2;
  }
  const auto store = godwit::adapters::open_rocksdb_store(std::string(argv[1]) + "/store");
  if (!store) {
    std::fprintf(stderr, "store_rows: %s\n", std::string(store.error().text).c_str());
    return 1;
  }
  for (const auto space : godwit::ports::kServerSpaces) {
    const auto rows = (*store)->count(space);
    if (!rows) return 1;
    std::printf("%s %llu\n", std::string(godwit::ports::space_name(space)).c_str(),
                static_cast<unsigned long long>(*rows));
  }
}
