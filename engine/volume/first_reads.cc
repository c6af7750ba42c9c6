#include "volume/first_reads.h"

#include "format/trace_record.h"

namespace ashlar {

void FirstReads::note(BlockRange range, double now) {
  if (has_ended() || range.count.value == 0) return;
  const std::uint64_t first = range.first.value / kTraceRegionBlocks;
  const std::uint64_t last = (range.end().value - 1) / kTraceRegionBlocks;
  const std::lock_guard lock(mutex_);
  if (has_ended()) return;
  if (order_.empty()) began_ = now;
  for (std::uint64_t region = first; region <= last; ++region) {
    if (!seen_.insert(region).second) continue;
    newest_ = now;
    order_.push_back(region);
    if (order_.size() > kMostRegions) {
      is_copy_ = true;
      ended_.store(true, std::memory_order_release);
      return;
    }
  }
}

bool FirstReads::has_settled(double now) const {
  if (has_ended()) return true;
  const std::lock_guard lock(mutex_);
  return !order_.empty() && (now - newest_ >= kQuietSeconds || now - began_ >= kMostSeconds);
}

std::vector<std::uint64_t> FirstReads::take() {
  const std::lock_guard lock(mutex_);
  ended_.store(true, std::memory_order_release);
  seen_.clear();
  if (is_copy_) order_.clear();
  return std::move(order_);
}

}  // namespace ashlar
