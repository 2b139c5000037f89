// metrics: Prometheus text format 0.0.4, written by hand, and the histogram behind a latency.
//
// Names: godwitd_ or godwit_, base units, _total for counters. Labels come from fixed lists in the
// source: never a person, a number or an address.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <string>
#include <string_view>

namespace godwit::runtime {

// Counts durations. One thread adds, any thread reads.
class Histogram {
 public:
  // Upper bounds of the buckets, in seconds; the service-level ones are 0.05, 0.2 and 1.
  static constexpr std::array<double, 13> kBounds = {
      0.0001, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 5};
  void add(double seconds);

 private:
  friend class MetricsText;
  std::array<std::atomic<std::uint64_t>, kBounds.size() + 1> buckets_{};
  std::atomic<double> sum_ = 0;
};

class MetricsText {
 public:
  // Opens a family: its help and type lines. Samples of it follow.
  void family(std::string_view name, std::string_view type, std::string_view help);
  // `labels` as they are written between the braces: result="ok".
  void sample(std::uint64_t value, std::string_view labels = {});
  void sample_seconds(std::uint64_t microseconds);
  void sample(const Histogram& histogram, std::string_view labels = {});
  // A family with one sample.
  void counter(std::string_view name, std::string_view help, std::uint64_t value);
  void gauge(std::string_view name, std::string_view help, std::uint64_t value);

  std::string take() { return std::move(text_); }

 private:
  void line(std::string_view suffix, std::string_view labels, std::string_view value);
  std::string text_;
  std::string name_;
};

// Resident memory of this process in bytes, 0 when the system does not tell.
std::uint64_t resident_bytes();
// Open file descriptors of this process, 0 when the system does not tell.
std::uint64_t open_descriptors();

}  // namespace godwit::runtime
