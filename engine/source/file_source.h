// FileSource: a regular file. Its holes are UNALLOCATED. Internal to the module.
//
// Holes are trusted as SEEK_DATA and SEEK_HOLE report them on the file systems that io/file_use.h names; this
// is safe as long as the file is not written to. Elsewhere the file is one extent of data.
//
// The identity is the canonical path alone, without the inode: a user who replaces vm1.raw by a new copy
// every night creates a new inode each time and still expects an incremental capture.
#pragma once

#include <memory>
#include <string>

#include "source/source.h"

namespace ashlar {

Result<std::unique_ptr<Source>> open_file_source(const std::string& path);

}  // namespace ashlar
