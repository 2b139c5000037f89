// What the targets share: how an input is cut into the choices and the octets that a target needs.
//
// Each target defines LLVMFuzzerTestOneInput, the one function that libFuzzer and replay.cc call.
#pragma once

#include "base/bytes.h"
#include "base/check.h"
#include "base/codec.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace godwit::fuzz {

// Takes an input apart from the front; an exhausted input gives zeros and empty views.
class Input {
 public:
  Input(const std::uint8_t* data, std::size_t size) : left_(data, size) {}
  bool empty() const { return left_.empty(); }

  std::uint8_t octet() {
    if (left_.empty()) return 0;
    const std::uint8_t first = left_.front();
    left_ = left_.subspan(1);
    return first;
  }
  // A piece whose size stands before it in two octets, big-endian; shorter at the end.
  ByteView piece() {
    const std::size_t high = octet(), low = octet();
    const ByteView taken = left_.first(std::min(high << 8 | low, left_.size()));
    left_ = left_.subspan(taken.size());
    return taken;
  }
  ByteView rest() {
    const ByteView all = left_;
    left_ = {};
    return all;
  }

 private:
  ByteView left_;
};

// What decodes also encodes, and the second encoding is the first: decode() lost nothing it knows.
template <typename Record>
void read(ByteView octets) {
  const auto record = decode<Record>(octets);
  if (!record) return;
  const Bytes once = encode(*record);
  const auto again = decode<Record>(once);
  CHECK(again && encode(*again) == once);
}

}  // namespace godwit::fuzz
