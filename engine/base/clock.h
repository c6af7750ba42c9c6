// Clocks: the time as people read it, and durations.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace ashlar {

// A time in nanoseconds since 1970-01-01T00:00:00Z.
struct UtcTime {
  std::uint64_t unix_ns = 0;
  static UtcTime now();
  std::string iso8601() const;  // 2026-11-21T02:31:00Z
  // Parses the form of iso8601(), or a day alone: 2026-11-21 is the first second of that day. Years 1970 to
  // 2262.
  static Result<UtcTime> parse(std::string_view text);
  friend auto operator<=>(UtcTime, UtcTime) = default;
};

// Returns whether the kernel says that the clock of this host follows another one (NTP).
bool clock_is_synchronised();

// Returns seconds on a clock that never goes back; only differences have a meaning.
double monotonic_seconds();

}  // namespace ashlar
