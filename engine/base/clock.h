// The time as people read it. No decision about data is ever taken from a clock.
#pragma once

#include <cstdint>
#include <string>

namespace ashlar {

// Nanoseconds since 1970-01-01T00:00:00Z.
struct UtcTime {
  std::uint64_t unix_ns = 0;
  static UtcTime now();
  std::string iso8601() const;  // 2026-11-21T02:31:00Z
  friend auto operator<=>(UtcTime, UtcTime) = default;
};

// Seconds on a clock that never goes back; only differences mean something.
double monotonic_seconds();

}  // namespace ashlar
