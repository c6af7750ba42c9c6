#include "volume/hydrator.h"

#include <algorithm>
#include <chrono>
#include <thread>

#include "base/clock.h"

namespace ashlar {
namespace {

constexpr std::uint64_t kStepBlocks = 256;  // 1 MiB: the most that a foreground read may wait for
constexpr std::uint64_t kFlushBytes = std::uint64_t{64} << 20U;
constexpr std::chrono::milliseconds kPause{20};

class Hydration {
 public:
  Hydration(Volume& volume, const HydrateOptions& options, HydrateProgress& progress,
            const std::stop_token& stop)
      : volume_(volume), options_(options), progress_(progress), stop_(stop) {}

  Status run() {
    progress_.total_bytes = volume_.size().value;
    const Lba end{blocks_covering(volume_.size()).value};
    for (Lba at; at < end;) {
      const BlockRange stretch{at, BlockCount{std::min(kLeafBlocks, (end - at).value)}};
      for (const HoldRun& run : volume_.overlay().states(stretch)) {
        if (run.hold == BlockHold::kAbsent) TRY(fetch(run.blocks));
      }
      progress_.done_bytes +=
          std::min(byte_count(stretch.count).value, volume_.size().value - byte_offset(at).value);
      at = stretch.end();
    }
    return volume_.flush();
  }

 private:
  Status fetch(BlockRange range) {
    for (Lba at = range.first; at < range.end();) {
      TRY(wait_for_turn());
      const BlockRange step{at, BlockCount{std::min(kStepBlocks, (range.end() - at).value)}};
      const std::uint64_t before = volume_.counters().fetched_bytes;
      TRY(volume_.fetch(step));
      fetched_ += volume_.counters().fetched_bytes - before;
      progress_.fetched_bytes += byte_count(step.count).value;
      if (fetched_ - flushed_ >= kFlushBytes) {
        TRY(volume_.flush());
        flushed_ = fetched_;
      }
      at = step.end();
    }
    return {};
  }

  // Waits until the rate allows the next step and no reader waits for the store; kCancelled when asked to
  // stop.
  Status wait_for_turn() {
    while (true) {
      if (stop_.stop_requested()) return cancelled();
      const bool busy = options_.yields && !volume_.gate().is_quiet(demands_);
      const double due = options_.bytes_per_second == 0
                             ? 0
                             : static_cast<double>(fetched_) / static_cast<double>(options_.bytes_per_second);
      if (!busy && monotonic_seconds() - started_ >= due) return {};
      std::this_thread::sleep_for(kPause);
    }
  }

  Volume& volume_;
  const HydrateOptions& options_;
  HydrateProgress& progress_;
  const std::stop_token& stop_;
  const double started_ = monotonic_seconds();
  std::uint64_t fetched_ = 0;  // from the store
  std::uint64_t flushed_ = 0;
  std::uint64_t demands_ = 0;  // the gate's count of demands when last asked
};

}  // namespace

Status hydrate(Volume& volume, const HydrateOptions& options, HydrateProgress& progress,
               const std::stop_token& stop) {
  return Hydration(volume, options, progress, stop).run();
}

}  // namespace ashlar
