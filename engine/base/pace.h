// Pace: holds work to a number of bytes a second.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <stop_token>

#include "base/result.h"

namespace ashlar {

class Pace {
 public:
  explicit Pace(std::uint64_t bytes_per_second) : bytes_per_second_(bytes_per_second) {}  // 0: no limit

  // Notes that `bytes` are moved, and waits until the rate allows more; kCancelled when stopped. Any thread.
  Status move(std::uint64_t bytes, const std::stop_token& stop) {
    if (stop.stop_requested()) return cancelled();
    if (bytes_per_second_ == 0) return {};
    std::unique_lock lock(mutex_);
    const auto now = Clock::now();
    free_at_ = std::max(free_at_, now) +
               std::chrono::nanoseconds(static_cast<std::int64_t>(1e9 * static_cast<double>(bytes) /
                                                                  static_cast<double>(bytes_per_second_)));
    const auto until = free_at_;
    wake_.wait_until(lock, stop, until, [] { return false; });
    return stop.stop_requested() ? Status(cancelled()) : Status();
  }

 private:
  using Clock = std::chrono::steady_clock;
  const std::uint64_t bytes_per_second_;
  std::mutex mutex_;
  std::condition_variable_any wake_;
  Clock::time_point free_at_;
};

}  // namespace ashlar
