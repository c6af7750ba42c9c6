// Ctrl-C, SIGTERM and SIGHUP (the terminal is gone) as a stop token: the operation ends in order, what it had
// published stays, nothing half done becomes visible. A second Ctrl-C or SIGTERM ends the process at once.
//
// The constructor only blocks the signals, in this thread and in those started later. Nothing starts a thread
// until watch(), so a process may still be forked in between.
#pragma once

#include <stop_token>
#include <thread>

#include "base/result.h"
#include "base/unique_fd.h"

namespace ashlar {

class Stop {
 public:
  Stop();
  ~Stop();
  Stop(const Stop&) = delete;
  Stop& operator=(const Stop&) = delete;

  Status watch();
  std::stop_token token() const { return stop_.get_token(); }

 private:
  void wait_for_signals();

  std::stop_source stop_;
  UniqueFd signals_;
  UniqueFd end_;
  std::jthread thread_;
};

}  // namespace ashlar
