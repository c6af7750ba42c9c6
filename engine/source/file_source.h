// FileSource: a regular file. Its holes are UNALLOCATED.
//
// Holes are trusted as SEEK_DATA and SEEK_HOLE tell them on the file systems that io/file_use.h names, which
// is sound while nobody writes to the file. Elsewhere the file is one extent of data.
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
