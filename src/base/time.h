// Time as an argument: milliseconds, never read here. Wall-clock time since the Unix epoch.
#pragma once

#include <compare>
#include <cstdint>

namespace godwit {

struct Duration {
  std::int64_t ms = 0;
  constexpr auto operator<=>(const Duration&) const = default;
  constexpr Duration operator*(std::int64_t n) const { return {ms * n}; }
  constexpr Duration operator+(Duration d) const { return {ms + d.ms}; }
  constexpr Duration operator-(Duration d) const { return {ms - d.ms}; }
};

constexpr Duration milliseconds(std::int64_t n) { return {n}; }
constexpr Duration seconds(std::int64_t n) { return {n * 1000}; }
constexpr Duration minutes(std::int64_t n) { return seconds(n * 60); }
constexpr Duration hours(std::int64_t n) { return minutes(n * 60); }
constexpr Duration days(std::int64_t n) { return hours(n * 24); }

struct Instant {
  std::int64_t ms = 0;
  constexpr auto operator<=>(const Instant&) const = default;
  constexpr Instant operator+(Duration d) const { return {ms + d.ms}; }
  constexpr Duration operator-(Instant other) const { return {ms - other.ms}; }
};

constexpr Instant kNever{INT64_MAX};

}  // namespace godwit
