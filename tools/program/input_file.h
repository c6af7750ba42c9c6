// Small files that are given by name or through standard input.
#pragma once

#include <string>

#include "base/result.h"

namespace ashlar {

// Reads all of `file`, or of standard input for "-". Fails with kInvalid when there are more than `limit`
// bytes.
Result<std::string> read_input(const std::string& file, std::size_t limit);

}  // namespace ashlar
