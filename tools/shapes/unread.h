// Records that a list could not read.
#pragma once

#include <vector>

#include "base/result.h"
#include "program/exit_code.h"

namespace ashlar {

// Warns of each record, and returns how a verb ends that showed the others: kDone when there are none,
// kDamaged when one of them is damaged, else kFailed.
ExitCode name_unread(const std::vector<Error>& unread);

}  // namespace ashlar
