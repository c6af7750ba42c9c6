// ExitCode: the program's exit status. Documented in docs/cli.md.
#pragma once

#include "base/result.h"

namespace ashlar {

enum class ExitCode : int {
  kDone = 0,
  kFailed = 1,   // nothing was done, or not all of it; also when stopped by the user
  kUsage = 2,    // the command line is wrong
  kDamaged = 3,  // stored data is damaged, or a target does not hold what its snapshot says
};

ExitCode exit_code_of(const Error& error);

}  // namespace ashlar
