// Use of an open regular file: whether its map of holes can be believed, and who else uses the file.
#pragma once

#include <string>

#include "base/result.h"

namespace ashlar {

// Returns whether SEEK_DATA and SEEK_HOLE can be believed for this file: on ext2/3/4, XFS, btrfs and tmpfs.
// Other file systems have no such map, or were wrong about bytes that had just been written (openzfs#15526).
// Syncs the file first, so that everything written before this call is in the map; returns false when the
// sync fails.
bool holes_can_be_trusted(int fd);

// Returns kBusy when another program holds an fcntl() lock on any part of the file, as QEMU does on its
// images.
Status check_unlocked(int fd, const std::string& path);

// Takes the flock() of the file until all copies of the descriptor are closed. Returns kBusy when another
// open file has the lock, in this process or another.
Status lock_for_writing(int fd, const std::string& path);

}  // namespace ashlar
