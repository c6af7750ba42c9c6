// Opens POSIX files for reading and writing at any place; posix_file_system() uses it.
// Internal to the module.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "base/result.h"
#include "io/file_system.h"

namespace ashlar {

// Creates a file of `new_bytes` bytes when that is given, otherwise opens an existing file.
Result<std::unique_ptr<RandomFile>> open_posix_random(const std::string& path,
                                                      std::optional<std::uint64_t> new_bytes);

}  // namespace ashlar
