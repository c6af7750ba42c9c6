// Small files that people hand in, by name or through standard input.
#pragma once

#include <string>

#include "base/result.h"

namespace ashlar {

// All of `file`, or of standard input for "-". kInvalid when there is more than `limit` bytes.
Result<std::string> read_input(const std::string& file, std::size_t limit);

}  // namespace ashlar
