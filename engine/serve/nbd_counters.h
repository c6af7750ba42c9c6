// NbdCounters: what a server has done. Written by its loop, read by any thread.
#pragma once

#include <atomic>
#include <cstdint>

namespace ashlar {

struct NbdCounters {
  using Count = std::atomic<std::uint64_t>;
  Count connections_accepted{0};
  Count connections_refused{0};  // over the limit
  Count connections_open{0};
  Count handshakes_timed_out{0};
  Count tls_failures{0};  // handshakes, and connections that broke off without a goodbye
  Count reads{0};
  Count writes{0};
  Count flushes{0};
  Count trims{0};  // and write_zeroes
  Count other_requests{0};
  Count bytes_read{0};
  Count bytes_written{0};
  Count errors{0};  // replies that carry one

  // Cheaper than an atomic addition: there is one writer.
  static void add(Count& count, std::uint64_t more = 1) {
    count.store(count.load(std::memory_order_relaxed) + more, std::memory_order_relaxed);
  }
  static void drop(Count& count) {
    count.store(count.load(std::memory_order_relaxed) - 1, std::memory_order_relaxed);
  }
};

}  // namespace ashlar
