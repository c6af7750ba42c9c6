#include "program/progress.h"

#include <fmt/format.h>
#include <poll.h>
#include <unistd.h>

#include <chrono>
#include <cmath>
#include <cstdio>

#include "base/clock.h"
#include "base/units.h"
#include "program/output.h"

namespace ashlar {
namespace {

constexpr std::chrono::milliseconds kLinePeriod{200};
constexpr std::chrono::milliseconds kJsonPeriod{1000};
constexpr double kSmoothingSeconds = 3;
constexpr int kLastLinePatience = 1000;  // milliseconds

// A reader that does not read costs lines, not the operation: it may hang in the very file system that a
// capture holds frozen. Pipes and terminals that are writable take a line (less than PIPE_BUF) without
// waiting.
bool takes_a_line(int patience_ms) {
  pollfd polled{STDERR_FILENO, POLLOUT, 0};
  return ::poll(&polled, 1, patience_ms) > 0;
}

std::optional<double> seconds_left(const ProgressSample& now, double bytes_per_second) {
  if (now.total_bytes == 0 || bytes_per_second <= 0) return std::nullopt;
  const std::uint64_t done = std::min(now.done_bytes, now.total_bytes);
  return static_cast<double>(now.total_bytes - done) / bytes_per_second;
}

}  // namespace

ProgressDisplay::Mode ProgressDisplay::mode_of(const Globals& globals) {
  if (globals.progress == "json") return Mode::kJson;
  if (globals.progress == "none") return Mode::kNone;
  return ::isatty(STDERR_FILENO) != 0 ? Mode::kLine : Mode::kNone;
}

ProgressDisplay::ProgressDisplay(const Globals& globals, std::string verb,
                                 std::function<ProgressSample()> sample)
    : mode_(mode_of(globals)),
      verb_(std::move(verb)),
      sample_(std::move(sample)),
      started_(monotonic_seconds()) {
  if (mode_ != Mode::kNone) thread_ = std::thread([this] { show_until_end(); });
}

ProgressDisplay::~ProgressDisplay() {
  if (!thread_.joinable()) return;
  {
    const std::lock_guard lock(mutex_);
    end_ = true;
  }
  ended_.notify_all();
  thread_.join();
  // The last JSON line holds the final figures; the redrawn line is wiped, the summary follows.
  if (!takes_a_line(kLastLinePatience)) return;
  if (mode_ == Mode::kJson) show();
  if (mode_ == Mode::kLine) std::fputs("\r\033[K", stderr);
}

void ProgressDisplay::show_until_end() {
  const auto period = mode_ == Mode::kLine ? kLinePeriod : kJsonPeriod;
  std::unique_lock lock(mutex_);
  while (!ended_.wait_for(lock, period, [this] { return end_; })) {
    if (takes_a_line(0)) show();
  }
}

void ProgressDisplay::show() {
  const ProgressSample now = sample_();
  const double seconds = monotonic_seconds() - started_;
  const double passed = seconds - last_seconds_;
  if (passed > 0) {
    const std::uint64_t done = now.done_bytes > last_done_ ? now.done_bytes - last_done_ : 0;
    const double weight = last_seconds_ == 0 ? 1 : 1 - std::exp(-passed / kSmoothingSeconds);
    bytes_per_second_ += weight * (static_cast<double>(done) / passed - bytes_per_second_);
    last_seconds_ = seconds;
    last_done_ = now.done_bytes;
  }
  const std::string text =
      mode_ == Mode::kLine ? "\r" + line(now, seconds) + "\033[K" : json(now, seconds) + "\n";
  std::fwrite(text.data(), 1, text.size(), stderr);
  std::fflush(stderr);
}

std::string ProgressDisplay::line(const ProgressSample& now, double seconds) const {
  std::string text;
  if (now.total_bytes != 0) {
    const auto done = static_cast<double>(std::min(now.done_bytes, now.total_bytes));
    text += fmt::format("{:5.1f} %", 100 * done / static_cast<double>(now.total_bytes));
  } else {
    text += format_size(now.done_bytes);
  }
  text += "  " + rate_text(now.read_bytes.value_or(now.done_bytes), seconds);
  if (now.written_bytes) text += "  written " + format_size(*now.written_bytes);
  if (now.new_bytes) text += "  new " + format_size(*now.new_bytes);
  if (now.stored_bytes) text += "  stored " + format_size(*now.stored_bytes);
  if (now.new_bytes && now.read_bytes) text += "  dedup " + ratio_text(*now.read_bytes, *now.new_bytes);
  const auto left = seconds_left(now, bytes_per_second_);
  if (left && *left < 100 * 3600) text += "  ETA " + duration_text(*left);
  return text;
}

std::string ProgressDisplay::json(const ProgressSample& now, double seconds) const {
  const auto optional = [](const std::optional<std::uint64_t>& n) { return n ? Json(*n) : Json(nullptr); };
  const auto left = seconds_left(now, bytes_per_second_);
  const Json body = {{"verb", verb_},
                     {"seconds", std::round(seconds * 1000) / 1000},
                     {"total_bytes", now.total_bytes},
                     {"done_bytes", now.done_bytes},
                     {"bytes_per_second", std::round(bytes_per_second_)},
                     {"read_bytes", optional(now.read_bytes)},
                     {"new_bytes", optional(now.new_bytes)},
                     {"stored_bytes", optional(now.stored_bytes)},
                     {"written_bytes", optional(now.written_bytes)},
                     {"eta_seconds", left ? Json(std::round(*left)) : Json(nullptr)}};
  return body.dump();
}

}  // namespace ashlar
