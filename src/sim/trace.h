// Trace: what happened in a life, as one number, and as lines when somebody wants to read it.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <utility>

#include "base/bytes.h"
#include "base/time.h"

namespace godwit::sim {

class Trace {
 public:
  using Print = std::function<void(const std::string& line)>;

  explicit Trace(Instant start, Print print = {}) : start_(start), print_(std::move(print)) {}

  // `who` did `what`; `octets` are what it did it with. All of it goes into the hash.
  void note(Instant now, std::string_view who, std::string_view what, std::uint64_t number = 0,
            ByteView octets = {}) {
    mix(static_cast<std::uint64_t>(now.ms));
    mix(view_of(who));
    mix(view_of(what));
    mix(number);
    mix(octets);
    if (print_) print_(line(now, who, what, number, octets.size()));
  }
  std::uint64_t hash() const { return hash_; }

 private:
  // FNV-1a (Fowler, Noll, Vo), 64 bits.
  void mix(std::uint8_t octet) { hash_ = (hash_ ^ octet) * 1099511628211u; }
  void mix(ByteView octets) {
    for (const std::uint8_t octet : octets) mix(octet);
  }
  void mix(std::uint64_t value) {
    for (int shift = 0; shift < 64; shift += 8) mix(static_cast<std::uint8_t>(value >> shift));
  }
  std::string line(Instant now, std::string_view who, std::string_view what, std::uint64_t number,
                   std::size_t octets) const;

  Instant start_;
  Print print_;
  std::uint64_t hash_ = 14695981039346656037u;
};

}  // namespace godwit::sim
