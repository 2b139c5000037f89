// Counts the rows of a stopped server's store: store_rows DATA [HEX] prints "space rows" per line;
// with HEX, only the rows whose keys or values hold these octets.
#include <algorithm>
#include <cstdio>
#include <string>

#include "adapters/rocksdb/rocksdb_store.h"

using namespace godwit;

namespace {

bool holds(ByteView octets, ByteView needle) {
  return !std::ranges::search(octets, needle).empty();
}

Result<std::uint64_t> holding(ports::Store& store, ports::Space space, ByteView needle) {
  ports::Scan partitions{{}, space, {}, {}};
  partitions.partitions = true;
  const auto found = store.scan(partitions);
  if (!found) return fail(found.error());
  std::uint64_t count = 0;
  for (const ports::Row& partition : *found) {
    const auto rows = store.scan({partition.key, space, {}, {}});
    if (!rows) return fail(rows.error());
    count += static_cast<std::uint64_t>(std::ranges::count_if(*rows, [&](const ports::Row& row) {
      return holds(row.key, needle) || holds(row.value, needle);
    }));
  }
  return count;
}

}  // namespace

int main(int argc, char** argv) {
  const auto needle = argc == 3 ? from_hex(argv[2]) : std::nullopt;
  if (argc != 2 && !needle) {
    std::fprintf(stderr, "usage: store_rows DATA [HEX]\n");
    return 2;
  }
  const auto store = adapters::open_rocksdb_store(std::string(argv[1]) + "/store");
  if (!store) {
    std::fprintf(stderr, "store_rows: %s\n", std::string(store.error().text).c_str());
    return 1;
  }
  for (const auto space : ports::kServerSpaces) {
    const auto rows = needle ? holding(**store, space, *needle) : (*store)->count(space);
    if (!rows) return 1;
    std::printf("%s %llu\n", std::string(ports::space_name(space)).c_str(),
                static_cast<unsigned long long>(*rows));
  }
}
