// Opens files of this machine for reading and writing at any place; behind posix_file_system().
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "base/result.h"
#include "io/file_system.h"

namespace ashlar {

// With `new_bytes` a new file of that size, else an existing one.
Result<std::unique_ptr<RandomFile>> open_posix_random(const std::string& path,
                                                      std::optional<std::uint64_t> new_bytes);

}  // namespace ashlar
