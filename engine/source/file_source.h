// FileSource: a regular file. Its holes are UNALLOCATED.
//
// Holes are trusted as SEEK_DATA and SEEK_HOLE tell them, which is sound while nobody writes to the file. A
// file system that can't tell gives one extent of data, and so does ZFS, whose hole maps were wrong on dirty
// files (openzfs#15526).
//
// The identity is the canonical path alone: a person who copies a fresh vm1.raw over the old one every night
// makes a new inode each time, and still wants the increment.
#pragma once

#include <memory>
#include <string>

#include "source/source.h"

namespace ashlar {

Result<std::unique_ptr<Source>> open_file_source(const std::string& path);

}  // namespace ashlar
