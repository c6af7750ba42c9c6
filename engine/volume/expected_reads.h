// ExpectedReads: regions that are fetched before a read asks for them. A read that wants one of them waits
// for that fetch, but no longer than it would gain by it. Internal to the module.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <unordered_set>

#include "format/trace_record.h"
#include "volume/trace.h"

namespace ashlar {

class ExpectedReads {
 public:
  // Makes reads of these regions wait, until end(), for at most `limit` in sum.
  void begin(const RegionOrder& order, std::chrono::duration<double> limit) {
    const std::lock_guard lock(mutex_);
    regions_.insert(order.begin(), order.end());
    until_ = std::chrono::steady_clock::now() +
             std::chrono::duration_cast<std::chrono::steady_clock::duration>(limit);
    active_.store(true, std::memory_order_release);
  }
  void end() {
    {
      const std::lock_guard lock(mutex_);
      active_.store(false, std::memory_order_release);
      regions_.clear();
    }
    ended_.notify_all();
  }

  // Notes that all parts of this region have arrived, and wakes the reads that wait for it.
  void arrived(std::uint64_t region) {
    {
      const std::lock_guard lock(mutex_);
      regions_.erase(region);
    }
    ended_.notify_all();
  }

  void wait_for(BlockRange range) {
    if (!active_.load(std::memory_order_acquire)) return;
    std::unique_lock lock(mutex_);
    const std::uint64_t region = range.first.value / kTraceRegionBlocks;
    ended_.wait_until(lock, until_, [&] { return !regions_.contains(region); });
  }

 private:
  std::atomic<bool> active_{false};
  std::mutex mutex_;
  std::condition_variable ended_;
  std::unordered_set<std::uint64_t> regions_;
  std::chrono::steady_clock::time_point until_;
};

}  // namespace ashlar
