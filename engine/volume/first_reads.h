// FirstReads: the regions of a volume in the order in which they are first read while it is served. A later
// serving of the same snapshot will want the same regions first. Internal to the module.
//
// Recording ends by itself once the order has settled: no new region for kQuietSeconds, or kMostSeconds since
// the first read. A serving that reads more than any boot does is a copy, and its order is dropped. Any
// number of threads.
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>
#include <unordered_set>
#include <vector>

#include "base/quantity.h"

namespace ashlar {

class FirstReads {
 public:
  static constexpr std::size_t kMostRegions = 8192;  // 512 MiB; boots of Debian read 28 to 65 MiB
  static constexpr double kQuietSeconds = 20;        // without a new region
  static constexpr double kMostSeconds = 600;        // since the first read

  // Records the regions of a read. `now` is monotonic_seconds(). Costs one atomic read once recording has
  // ended.
  void note(BlockRange range, double now);
  bool has_ended() const { return ended_.load(std::memory_order_acquire); }
  bool has_settled(double now) const;
  // Ends recording and returns the regions (first block ÷ kTraceRegionBlocks) in the order of their first
  // read; returns none when the serving was a copy.
  std::vector<std::uint64_t> take();

 private:
  std::atomic<bool> ended_{false};
  mutable std::mutex mutex_;
  bool is_copy_ = false;
  double began_ = 0;
  double newest_ = 0;
  std::unordered_set<std::uint64_t> seen_;
  std::vector<std::uint64_t> order_;
};

}  // namespace ashlar
