// What the system tells of an open regular file: whether its holes are true, and who else uses it.
#pragma once

#include <string>

#include "base/result.h"

namespace ashlar {

// Whether SEEK_DATA and SEEK_HOLE can be believed for this file: on ext2/3/4, XFS, btrfs and tmpfs. Others
// can't tell, or were wrong for what was written a moment ago (openzfs#15526). Syncs the file, so that what
// was written before this call has its place in the map; false when that fails.
bool holes_can_be_trusted(int fd);

// kBusy when another program holds an fcntl() lock on any part of the file, as QEMU does on its images.
Status check_unlocked(int fd, const std::string& path);

// Takes the flock() of the file, until all copies of the descriptor are closed. kBusy when another open file
// has it, of this process or of any other.
Status lock_for_writing(int fd, const std::string& path);

}  // namespace ashlar
