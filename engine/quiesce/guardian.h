// Guardian: a child process that freezes a file system and holds it frozen until it is told to thaw it, or
// until its parent is gone in whatever way. A pidfd tells it of that, and a look at /proc/PID/stat each
// second: a killed process of which one thread hangs in the frozen file system has no end that a pidfd would
// tell, but its main thread is a zombie.
//
// The guardian itself freezes: what it did not freeze it never thaws, and there is no moment at which the
// file system is frozen and nobody is left to thaw it. It keeps every signal blocked, has a session of its
// own, and touches no file outside /proc. Only SIGKILL aimed at both processes leaves the file system frozen
// (then: fsfreeze -u).
#pragma once

#include <sys/types.h>

#include "base/result.h"
#include "base/unique_fd.h"

namespace ashlar {

class Guardian {
 public:
  // Forks, and waits until the file system of `mount` is frozen. An errno of FIFREEZE comes as the error's
  // number.
  static Result<Guardian> freeze(const UniqueFd& mount);
  Guardian(Guardian&&) noexcept = default;
  Guardian& operator=(Guardian&&) = delete;

  // Thaws, and reaps the child. `mount` serves when the child was killed. Once.
  Status thaw(const UniqueFd& mount);
  pid_t pid() const { return pid_; }

 private:
  Guardian() = default;

  UniqueFd
      channel_;  // a word from us: thaw; an errno or 0 from the child after the freeze and after the thaw
  pid_t pid_ = -1;
};

}  // namespace ashlar
