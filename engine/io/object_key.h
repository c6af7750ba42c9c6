// The rule for object keys, and their parts. Internal to the module.
#pragma once

#include <string_view>

#include "base/result.h"

namespace ashlar {

inline constexpr std::size_t kMaxKeyBytes = 512;

// Returns kInvalid unless the key is relative and '/'-separated, with parts of [A-Za-z0-9._-] that are
// neither empty nor "." nor "..".
Status check_object_key(std::string_view key);

// Returns true for a single part that may be in a key.
bool is_key_part(std::string_view part);

}  // namespace ashlar
