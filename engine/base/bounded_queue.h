// BoundedQueue: a queue between two stages of a pipeline. Its capacity is the memory bound of the stage
// after it.
//
// Any number of threads may push and pop. close() ends the queue in order: pushes are refused, and pops
// return what is left and then nothing. cancel() ends it at once and drops what was queued.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <mutex>
#include <optional>
#include <utility>

namespace ashlar {

template <class T>
class BoundedQueue {
 public:
  explicit BoundedQueue(std::size_t capacity) : capacity_(capacity) {}

  // Waits for room. Returns false when the queue was closed or cancelled; the item is then dropped.
  bool push(T item) {
    std::unique_lock lock(mutex_);
    room_.wait(lock, [&] { return closed_ || items_.size() < capacity_; });
    if (closed_) return false;
    items_.push_back(std::move(item));
    arrived_.notify_one();
    return true;
  }

  // Waits for an item. Returns nothing when the queue is closed and empty.
  std::optional<T> pop() {
    std::unique_lock lock(mutex_);
    arrived_.wait(lock, [&] { return closed_ || !items_.empty(); });
    if (items_.empty()) return std::nullopt;
    std::optional<T> item(std::move(items_.front()));
    items_.pop_front();
    room_.notify_one();
    return item;
  }

  void close() {
    const std::lock_guard lock(mutex_);
    closed_ = true;
    arrived_.notify_all();
    room_.notify_all();
  }

  void cancel() {
    const std::lock_guard lock(mutex_);
    closed_ = true;
    items_.clear();
    arrived_.notify_all();
    room_.notify_all();
  }

 private:
  std::mutex mutex_;
  std::condition_variable room_;
  std::condition_variable arrived_;
  std::deque<T> items_;
  std::size_t capacity_;
  bool closed_ = false;
};

}  // namespace ashlar
