#include "base/clock.h"

#include <fmt/format.h>

#include <chrono>
#include <ctime>

namespace ashlar {

UtcTime UtcTime::now() {
  const auto since_epoch = std::chrono::system_clock::now().time_since_epoch();
  return {
      static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::nanoseconds>(since_epoch).count())};
}

std::string UtcTime::iso8601() const {
  const auto seconds = static_cast<std::time_t>(unix_ns / 1'000'000'000);
  std::tm parts{};
  ::gmtime_r(&seconds, &parts);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z", parts.tm_year + 1900, parts.tm_mon + 1,
                     parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec);
}

double monotonic_seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

}  // namespace ashlar
