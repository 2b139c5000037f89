// Chunked: an array that grows without moving its elements, and without doubling its memory.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "base/check.h"

namespace godwit::io {

template <typename T>
class Chunked {
 public:
  std::uint32_t size() const { return size_; }
  T& operator[](std::uint32_t index) {
    CHECK(index < size_);
    return chunks_[index / kChunk][index % kChunk];
  }
  const T& operator[](std::uint32_t index) const { return const_cast<Chunked&>(*this)[index]; }
  // Adds default elements until there are `size`; never shrinks.
  void grow(std::uint32_t size) {
    while (chunks_.size() * kChunk < size) chunks_.push_back(std::make_unique<T[]>(kChunk));
    if (size > size_) size_ = size;
  }

 private:
  static constexpr std::uint32_t kChunk = 64;
  std::vector<std::unique_ptr<T[]>> chunks_;
  std::uint32_t size_ = 0;
};

}  // namespace godwit::io
