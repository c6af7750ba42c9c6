// LruCache: a bounded map that drops the least recently used entry. A capacity of 0 keeps nothing. Its owner
// must lock it.
#pragma once

#include <cstddef>
#include <list>
#include <unordered_map>
#include <utility>

namespace ashlar {

template <class Key, class Value, class Hash = std::hash<Key>>
class LruCache {
 public:
  explicit LruCache(std::size_t capacity) : capacity_(capacity) {}

  // Returns the value and makes it the most recently used one; nullptr when the key is absent. Valid until
  // the next put() or remove().
  Value* get(const Key& key) {
    const auto found = places_.find(key);
    if (found == places_.end()) return nullptr;
    order_.splice(order_.begin(), order_, found->second);
    return &found->second->second;
  }

  void put(const Key& key, Value value) {
    if (Value* held = get(key)) {
      *held = std::move(value);
      return;
    }
    if (capacity_ == 0) return;
    if (places_.size() >= capacity_) {
      places_.erase(order_.back().first);
      order_.pop_back();
    }
    order_.emplace_front(key, std::move(value));
    places_.emplace(key, order_.begin());
  }

  void remove(const Key& key) {
    const auto found = places_.find(key);
    if (found == places_.end()) return;
    order_.erase(found->second);
    places_.erase(found);
  }

  std::size_t size() const { return places_.size(); }

 private:
  std::size_t capacity_;
  std::list<std::pair<Key, Value>> order_;
  std::unordered_map<Key, typename std::list<std::pair<Key, Value>>::iterator, Hash> places_;
};

}  // namespace ashlar
