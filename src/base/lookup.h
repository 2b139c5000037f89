// Lookup: a hash table for what is only ever looked up. It has no iteration, for the order of a
// hash table would make two builds behave differently; keys() is sorted.
//
// References and pointers to elements stay valid until their element is erased. Keys that strangers
// choose take a keyed hash (crypto/short_hash.h).
#pragma once

#include <algorithm>
#include <unordered_map>
#include <utility>
#include <vector>

namespace godwit {

template <typename Key, typename Value, typename Hash>
class Lookup {
 public:
  explicit Lookup(Hash hash = {}) : map_(0, std::move(hash)) {}

  bool empty() const { return map_.empty(); }
  std::size_t size() const { return map_.size(); }
  // Null when there is none.
  Value* find(const Key& key) {
    const auto it = map_.find(key);
    return it == map_.end() ? nullptr : &it->second;
  }
  const Value* find(const Key& key) const { return const_cast<Lookup*>(this)->find(key); }
  // The present one stays as it is.
  template <typename... Args>
  Value& try_emplace(const Key& key, Args&&... args) {
    return map_.try_emplace(key, std::forward<Args>(args)...).first->second;
  }
  void erase(const Key& key) { map_.erase(key); }

  template <typename Predicate>
  bool all_of(Predicate predicate) const {
    return std::ranges::all_of(map_, [&](const auto& each) { return predicate(each.second); });
  }
  std::vector<Key> keys() const {
    std::vector<Key> out;
    out.reserve(map_.size());
    for (const auto& [key, value] : map_) out.push_back(key);
    std::ranges::sort(out);
    return out;
  }

 private:
  std::unordered_map<Key, Value, Hash> map_;
};

}  // namespace godwit
