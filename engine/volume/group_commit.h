// GroupCommit: work of which one run serves all callers that asked before it began. One run at a time; calls
// that come during a run share the next run and its result. Internal to the module.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <utility>

#include "base/result.h"

namespace ashlar {

class GroupCommit {
 public:
  explicit GroupCommit(std::function<Status()> work) : work_(std::move(work)) {}

  // Returns the result of a run that began after this call did.
  Status commit() {
    std::unique_lock lock(mutex_);
    const std::uint64_t mine = ++asked_;
    while (done_ < mine) {
      if (running_) {
        idle_.wait(lock);
      } else {
        run(lock);
      }
    }
    if (!failure_) return {};
    return Error(failure_->first, failure_->second);
  }

  // Runs `job` while no run of the work is active, and returns its result.
  template <class Job>
  auto alone(const Job& job) {
    std::unique_lock lock(mutex_);
    idle_.wait(lock, [this] { return !running_; });
    running_ = true;
    lock.unlock();
    auto result = job();
    lock.lock();
    running_ = false;
    idle_.notify_all();
    return result;
  }

 private:
  void run(std::unique_lock<std::mutex>& lock) {
    running_ = true;
    const std::uint64_t batch = asked_;
    lock.unlock();
    const Status status = work_();
    lock.lock();
    failure_.reset();
    if (!status.ok()) failure_.emplace(status.error().code(), status.error().text());
    done_ = batch;
    running_ = false;
    idle_.notify_all();
  }

  std::function<Status()> work_;
  std::mutex mutex_;
  std::condition_variable idle_;
  bool running_ = false;
  std::uint64_t asked_ = 0;
  std::uint64_t done_ = 0;
  std::optional<std::pair<ErrorCode, std::string>> failure_;  // failure of the newest run
};

}  // namespace ashlar
