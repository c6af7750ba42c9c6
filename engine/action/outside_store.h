// check_outside_store(): keeps the files that an operation writes out of the store's own directory.
#pragma once

#include <string>

#include "base/result.h"

namespace ashlar {

// Fails with kInvalid when `target` lies in the directory `store`: writing there could turn a pack into a
// disk image, or fill the store's folders with strange files.
Status check_outside_store(const std::string& target, const std::string& store);

}  // namespace ashlar
