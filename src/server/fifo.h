// Fifo: a queue that costs three words while it is empty, which most queues are.
//
// (std::deque keeps more than half a kilobyte, whatever it holds.)
#pragma once

#include <cstddef>
#include <utility>
#include <vector>

namespace godwit::server {

template <typename T>
class Fifo {
 public:
  bool empty() const { return items_.empty(); }
  std::size_t size() const { return items_.size() - first_; }
  T& front() { return items_[first_]; }
  const T& front() const { return items_[first_]; }
  void push_back(T item) { items_.push_back(std::move(item)); }
  void pop_front() {
    if (++first_ == items_.size()) return clear();
    if (first_ < items_.size() - first_) return;
    // The front half is gone: moving the rest keeps the work linear in what was pushed.
    items_.erase(items_.begin(), begin());
    first_ = 0;
  }
  void clear() {
    std::vector<T>().swap(items_);
    first_ = 0;
  }
  auto begin() { return items_.begin() + static_cast<std::ptrdiff_t>(first_); }
  auto end() { return items_.end(); }
  auto begin() const { return items_.begin() + static_cast<std::ptrdiff_t>(first_); }
  auto end() const { return items_.end(); }

 private:
  std::vector<T> items_;
  std::size_t first_ = 0;  // the ones before were taken
};

}  // namespace godwit::server
