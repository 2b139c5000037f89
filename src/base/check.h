// CHECK(condition): an invariant of our own, always on. Never for input from outside.
#pragma once

namespace godwit {
// Prints "CHECK failed: file:line: condition" to stderr and aborts.
[[noreturn]] void check_failed(const char* file, int line, const char* condition);
}  // namespace godwit

#define CHECK(condition) \
  ((condition) ? void() : ::godwit::check_failed(__FILE__, __LINE__, #condition))
