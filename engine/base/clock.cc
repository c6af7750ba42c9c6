#include "base/clock.h"

#include <fmt/format.h>
#include <sys/timex.h>

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

Result<UtcTime> UtcTime::parse(std::string_view text) {
  std::string whole(text);
  if (whole.size() == 10) whole += "T00:00:00Z";
  std::tm parts{};
  const char* end = ::strptime(whole.c_str(), "%Y-%m-%dT%H:%M:%SZ", &parts);
  const std::time_t seconds = ::timegm(&parts);
  constexpr std::time_t kLast = 9'223'372'036;  // the last second of signed nanoseconds
  if (end && *end == '\0' && seconds >= 0 && seconds <= kLast) {
    const UtcTime time{static_cast<std::uint64_t>(seconds) * 1'000'000'000};
    if (time.iso8601() == whole) return time;
  }
  return invalid(fmt::format("'{}' is not a time such as 2026-11-21 or 2026-11-21T02:31:00Z", text));
}

bool clock_is_synchronised() {
  timex state{};
  return ::adjtimex(&state) >= 0 && (state.status & STA_UNSYNC) == 0;
}

double monotonic_seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

}  // namespace ashlar
