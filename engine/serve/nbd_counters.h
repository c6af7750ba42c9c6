// NbdCounters: what a server has counted. Each loop writes its own and any thread reads them; the counters of
// the server are their sums. Internal to the module.
#pragma once

#include <atomic>
#include <cstdint>

namespace ashlar {

template <class Count>
struct NbdCountsOf {
  Count connections_accepted{0};
  Count connections_refused{0};  // connections over the limit
  Count connections_open{0};
  Count handshakes_timed_out{0};
  Count stalled_connections_closed{0};  // connections that held memory which others waited for
  Count tls_failures{0};  // failed handshakes, and connections that ended without a closing alert
  Count reads{0};
  Count writes{0};
  Count flushes{0};
  Count trims{0};  // and write_zeroes
  Count other_requests{0};
  Count requests_delayed{0};  // because the memory that all connections share was used up
  Count bytes_read{0};
  Count bytes_written{0};
  Count errors{0};  // replies that carry an error
};

using NbdCounts = NbdCountsOf<std::uint64_t>;

struct NbdCounters : NbdCountsOf<std::atomic<std::uint64_t>> {
  using Count = std::atomic<std::uint64_t>;

  // Adds to a counter. Cheaper than an atomic addition, and enough, because each counter has one writer.
  static void add(Count& count, std::uint64_t more = 1) {
    count.store(count.load(std::memory_order_relaxed) + more, std::memory_order_relaxed);
  }
  static void drop(Count& count) {
    count.store(count.load(std::memory_order_relaxed) - 1, std::memory_order_relaxed);
  }

  void add_to(NbdCounts& sum) const {
    const auto one = [](std::uint64_t& into, const Count& count) {
      into += count.load(std::memory_order_relaxed);
    };
    one(sum.connections_accepted, connections_accepted);
    one(sum.connections_refused, connections_refused);
    one(sum.connections_open, connections_open);
    one(sum.handshakes_timed_out, handshakes_timed_out);
    one(sum.stalled_connections_closed, stalled_connections_closed);
    one(sum.tls_failures, tls_failures);
    one(sum.reads, reads);
    one(sum.writes, writes);
    one(sum.flushes, flushes);
    one(sum.trims, trims);
    one(sum.other_requests, other_requests);
    one(sum.requests_delayed, requests_delayed);
    one(sum.bytes_read, bytes_read);
    one(sum.bytes_written, bytes_written);
    one(sum.errors, errors);
  }
};

}  // namespace ashlar
