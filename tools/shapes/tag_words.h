// Tags as the command line has them.
#pragma once

#include <string>
#include <vector>

#include "format/tags.h"

namespace ashlar {

// "KEY=VALUE" words; kInvalid for another form and for a key given twice.
Result<Tags> parse_tags(const std::vector<std::string>& words);

}  // namespace ashlar
