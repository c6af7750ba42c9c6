// posix_place_of(): which file a path leads to on this machine. Part of PosixFileSystem.
// Internal to the module.
#pragma once

#include <string>

#include "io/file_system.h"

namespace ashlar {

// Asks the file system for its UUID where it can tell one (ext4, XFS, Btrfs, and any other from Linux 6.9
// on); elsewhere the id that statfs gives, which lasts as long as the mount on some of them.
Result<FilePlace> posix_place_of(const std::string& path);

// Returns whether the file system of `path` is one that several hosts mount at a time: of a network or a
// cluster.
Result<bool> posix_is_shared_by_hosts(const std::string& path);

}  // namespace ashlar
