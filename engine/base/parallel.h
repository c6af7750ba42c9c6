// parallel_for: independent jobs on several threads; the first error stops the rest.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <stop_token>
#include <thread>
#include <vector>

#include "base/first_error.h"
#include "base/result.h"
#include "base/threads.h"

namespace ashlar {

inline unsigned processor_count() { return std::max(1U, std::thread::hardware_concurrency()); }

// Calls `job(i)` for each i below `count`, in any order, on up to `threads` threads. Returns kCancelled when
// stopped.
template <class Job>
Status parallel_for(std::size_t count, unsigned threads, const std::stop_token& stop, const Job& job) {
  FirstError errors;
  std::atomic<std::size_t> next{0};
  const auto work = [&] {
    while (!errors.failed()) {
      const std::size_t i = next++;
      if (i >= count) return;
      errors.report(stop.stop_requested() ? Status(cancelled()) : Status(job(i)));
    }
  };
  {
    std::vector<std::jthread> helpers;
    for (std::size_t i = 1; i < std::min<std::size_t>(threads, count); ++i)
      helpers.push_back(start_thread(work));
    work();
  }
  return errors.take();
}

}  // namespace ashlar
