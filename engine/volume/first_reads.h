// FirstReads: which regions of a volume are read first, in their order, while it is served. What a later
// serving of the same snapshot will want before anything else.
//
// Recording ends by itself once the order has settled: nothing new for a while, or long enough. A serving
// that reads more than any boot does is a copy: nothing of it is kept. Any number of threads.
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

  // `now` is monotonic_seconds(). Costs an atomic read once recording has ended.
  void note(BlockRange range, double now);
  bool has_ended() const { return ended_.load(std::memory_order_acquire); }
  bool has_settled(double now) const;
  // Ends recording. The regions (first block ÷ kTraceRegionBlocks) in the order of their first read; none
  // when it was a copy.
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
