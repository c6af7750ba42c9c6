// The reading half of the POSIX file system.
//
// Direct reads go past the page cache at any offset and length: unaligned ends pass through an aligned
// buffer. Where the file system refuses O_DIRECT, cached pages are dropped before each read instead.
#pragma once

#include <memory>
#include <string>

#include "io/file_system.h"

namespace ashlar {

Result<std::unique_ptr<ReadableFile>> open_posix_reader(const std::string& path, ReadMode mode);

}  // namespace ashlar
