// For tests only: reads vectors/*.json. Paths are relative to the repository, where ctest runs.
#pragma once

#include <fstream>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>

#include "base/bytes.h"

namespace godwit::vectors {

inline nlohmann::json load(const std::string& path) {
  std::ifstream file("vectors/" + path);
  if (!file) throw std::runtime_error("run the test in the repository's root: no vectors/" + path);
  return nlohmann::json::parse(file);
}

inline Bytes hex(const nlohmann::json& value) {
  const auto bytes = from_hex(value.get<std::string>());
  if (!bytes) throw std::runtime_error("not hexadecimal: " + value.get<std::string>());
  return *bytes;
}

template <std::size_t N>
ByteArray<N> array(const nlohmann::json& value) {
  const auto out = to_array<N>(hex(value));
  if (!out) throw std::runtime_error("another size: " + value.get<std::string>());
  return *out;
}

}  // namespace godwit::vectors
