// The time as people read it. No decision about data is ever taken from a clock.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace ashlar {

// Nanoseconds since 1970-01-01T00:00:00Z.
struct UtcTime {
  std::uint64_t unix_ns = 0;
  static UtcTime now();
  std::string iso8601() const;  // 2026-11-21T02:31:00Z
  // The same form, or a day alone: 2026-11-21 is its first second. Years 1970 to 2262.
  static Result<UtcTime> parse(std::string_view text);
  friend auto operator<=>(UtcTime, UtcTime) = default;
};

// Seconds on a clock that never goes back; only differences mean something.
double monotonic_seconds();

}  // namespace ashlar
