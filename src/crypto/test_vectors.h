// For tests only: reads vectors/*.json. Paths are relative to the repository, where ctest runs.
#pragma once

#include <cstdio>
#include <nlohmann/json.hpp>
#include <string>

#include "base/bytes.h"
#include "base/check.h"

namespace godwit::vectors {

// The whole of a file. By stdio: WebAssembly's C++ library has no file streams.
inline std::string read_file(const std::string& path) {
  std::FILE* file = std::fopen(path.c_str(), "rb");
  CHECK(file != nullptr);
  std::string text;
  for (int c = std::fgetc(file); c != EOF; c = std::fgetc(file)) text += static_cast<char>(c);
  std::fclose(file);
  return text;
}

inline nlohmann::json load(const std::string& path) {
  return nlohmann::json::parse(read_file("vectors/" + path));
}

// To compare with: clang finds no == between std::string and json.
inline std::string text(const nlohmann::json& value) { return value.get<std::string>(); }

inline Bytes hex(const nlohmann::json& value) {
  const auto bytes = from_hex(text(value));
  CHECK(bytes);
  return *bytes;
}

template <std::size_t N>
ByteArray<N> array(const nlohmann::json& value) {
  const auto out = to_array<N>(hex(value));
  CHECK(out);
  return *out;
}

}  // namespace godwit::vectors
