// Readers of POSIX files: the reading half of the POSIX file system. Internal to the module.
//
// Direct reads go past the page cache at any offset and length: unaligned ends pass through an aligned
// buffer. Where the file system refuses O_DIRECT, cached pages are dropped before each read instead.
#pragma once

#include <memory>
#include <string>

#include "base/unique_fd.h"
#include "io/file_system.h"

namespace ashlar {

Result<std::unique_ptr<ReadableFile>> open_posix_reader(const std::string& path, ReadMode mode);
// Returns a reader of a file that is open for reading, through the page cache. `path` is for messages.
std::unique_ptr<ReadableFile> posix_reader_of(UniqueFd fd, std::string path);

}  // namespace ashlar
