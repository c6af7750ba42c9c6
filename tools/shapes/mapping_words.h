// Block device mappings as the command line has them.
#pragma once

#include <string>
#include <vector>

#include "image/mapping.h"

namespace ashlar {

// The words of --map, see image/mapping.h.
Result<std::vector<DeviceMapping>> parse_mappings(const std::vector<std::string>& words);

}  // namespace ashlar
