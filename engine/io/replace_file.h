// replace_file(): a small file gets new contents whole, or keeps the old ones.
#pragma once

#include <string>

#include "io/file_system.h"

namespace ashlar {

// Makes `path` hold `bytes`, durably when it returns ok: writes and syncs `path`.new, renames it over `path`
// and syncs the directory. After a crash the file holds the old bytes or the new ones. One caller at a time
// replaces one file.
Status replace_file(FileSystem& files, const std::string& path, ByteSpan bytes);

}  // namespace ashlar
