// Puts hashed runs back into the order in which they were asked for. Runs arrive from any thread; one thread
// takes.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <map>
#include <mutex>
#include <optional>

#include "capture/hash.h"

namespace ashlar {

class Sequencer {
 public:
  void put(HashedRun run) {
    const std::lock_guard lock(mutex_);
    if (ended_) return;
    runs_.emplace(run.run.ordinal, std::move(run));
    arrived_.notify_one();
  }

  // Waits for a run. Nothing when it will never come: the source ended before it, or the capture failed.
  std::optional<HashedRun> take(std::uint64_t ordinal) {
    std::unique_lock lock(mutex_);
    arrived_.wait(lock, [&] { return ended_ || runs_.contains(ordinal); });
    const auto found = runs_.find(ordinal);
    if (found == runs_.end()) return std::nullopt;
    std::optional<HashedRun> run(std::move(found->second));
    runs_.erase(found);
    return run;
  }

  // No more runs will come.
  void end() {
    const std::lock_guard lock(mutex_);
    ended_ = true;
    arrived_.notify_all();
  }
  // The same, and what is held goes: its buffers are waited for.
  void cancel() {
    const std::lock_guard lock(mutex_);
    ended_ = true;
    runs_.clear();
    arrived_.notify_all();
  }

 private:
  std::mutex mutex_;
  std::condition_variable arrived_;
  std::map<std::uint64_t, HashedRun> runs_;
  bool ended_ = false;
};

}  // namespace ashlar
