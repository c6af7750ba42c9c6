// Guardian: a child process that freezes a file system and keeps it frozen until it is told to thaw it, or
// until its parent has ended in any way. A pidfd reports the end of the parent, and the guardian also reads
// /proc/PID/stat every second: when a killed process has a thread that hangs in the frozen file system, its
// pidfd reports no end, but its main thread is a zombie. Internal to the module.
//
// Invariant: from the freeze on, a process exists that will thaw. Therefore the guardian itself freezes, and
// it thaws only what it froze. It keeps every signal blocked, has a session of its own, and touches no file
// outside /proc. Only SIGKILL sent to both processes leaves the file system frozen (then: fsfreeze -u).
#pragma once

#include <sys/types.h>

#include "base/result.h"
#include "base/unique_fd.h"

namespace ashlar {

class Guardian {
 public:
  // Forks and waits until the file system of `mount` is frozen. An error of FIFREEZE keeps its errno as
  // error_number().
  static Result<Guardian> freeze(const UniqueFd& mount);
  Guardian(Guardian&&) noexcept = default;
  Guardian& operator=(Guardian&&) = delete;

  // Thaws and reaps the child. `mount` is used when the child was killed. Called once.
  Status thaw(const UniqueFd& mount);
  pid_t pid() const { return pid_; }

 private:
  Guardian() = default;

  // A socket to the child. Sent: one byte that means thaw. Received: 0 or an errno, after the freeze and
  // after the thaw.
  UniqueFd channel_;
  pid_t pid_ = -1;
};

}  // namespace ashlar
