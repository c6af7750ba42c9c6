// FirstError: tells the threads of a pipeline that one of them failed. The first error is kept and
// later ones are dropped; the remaining threads drain their queues.
//
// Any thread may call. Callbacks of on_failure() run once, on the thread that reports the first error: they
// cancel the queues on which other threads wait.
#pragma once

#include <atomic>
#include <functional>
#include <mutex>
#include <optional>
#include <vector>

#include "base/result.h"

namespace ashlar {

class FirstError {
 public:
  // Registers a callback. To be called before the threads start.
  void on_failure(std::function<void()> cancel) { cancels_.push_back(std::move(cancel)); }

  void report(Error error) {
    {
      const std::lock_guard lock(mutex_);
      if (failed_) return;
      error_ = std::move(error);
      failed_ = true;
    }
    for (const auto& cancel : cancels_) cancel();
  }
  void report(Status status) {
    if (!status.ok()) report(status.take_error());
  }

  bool failed() const { return failed_; }
  // Returns ok or the first error, and returns the error only once. To be called after the threads have
  // ended.
  Status take() {
    const std::lock_guard lock(mutex_);
    if (!error_) return {};
    Error first = std::move(*error_);
    error_.reset();
    return first;
  }

 private:
  std::mutex mutex_;
  std::atomic<bool> failed_{false};
  std::optional<Error> error_;
  std::vector<std::function<void()>> cancels_;
};

}  // namespace ashlar
