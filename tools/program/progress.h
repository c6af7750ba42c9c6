// Progress on standard error while an operation runs: one line redrawn on a terminal, a JSON line each
// second, or nothing.
#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <string>
#include <thread>

#include "base/notices.h"
#include "program/cli.h"

namespace ashlar {

// Starts a thread that calls `sample`, if progress is to be shown; ends when destroyed.
class ProgressDisplay : public ProgressWatch {
 public:
  ProgressDisplay(const Globals& globals, std::string verb, std::function<ProgressSample()> sample);
  ~ProgressDisplay() override;
  ProgressDisplay(const ProgressDisplay&) = delete;
  ProgressDisplay& operator=(const ProgressDisplay&) = delete;

 private:
  enum class Mode : unsigned char { kNone, kLine, kJson };
  static Mode mode_of(const Globals& globals);
  void show_until_end();
  void show();
  std::string line(const ProgressSample& now, double seconds) const;
  std::string json(const ProgressSample& now, double seconds) const;

  Mode mode_;
  std::string verb_;
  std::function<ProgressSample()> sample_;
  double started_;
  double last_seconds_ = 0;
  std::uint64_t last_done_ = 0;
  double bytes_per_second_ = 0;  // of done bytes, smoothed over some seconds
  std::mutex mutex_;
  std::condition_variable ended_;
  bool end_ = false;
  std::thread thread_;
};

}  // namespace ashlar
