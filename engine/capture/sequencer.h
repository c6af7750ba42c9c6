// Sequencer: puts hashed runs back into the order in which they were requested. Any thread puts runs in; one
// thread takes them. Internal to the module.
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

  // Waits for a run and returns it. Returns no value when the run will never come: the source ended before
  // it, or the capture failed.
  std::optional<HashedRun> take(std::uint64_t ordinal) {
    std::unique_lock lock(mutex_);
    arrived_.wait(lock, [&] { return ended_ || runs_.contains(ordinal); });
    const auto found = runs_.find(ordinal);
    if (found == runs_.end()) return std::nullopt;
    std::optional<HashedRun> run(std::move(found->second));
    runs_.erase(found);
    return run;
  }

  // Declares that no more runs will come.
  void end() {
    const std::lock_guard lock(mutex_);
    ended_ = true;
    arrived_.notify_all();
  }
  // Declares the same and drops the runs that are held, because readers wait for their buffers.
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
