// The mounts that this process sees, from /proc/self/mountinfo (proc_pid_mountinfo(5)).
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace ashlar {

struct MountEntry {
  std::uint64_t id = 0;
  dev_t device = 0;  // of the superblock; anonymous for btrfs and the like
  std::string mount_point;
  std::string source;  // as given to mount: often a device's path
  // Of the superblock: a read-only bind of a file system that is written elsewhere counts as written.
  bool read_write = false;
};

Result<std::vector<MountEntry>> mount_table();

// One line of mountinfo; kCorrupt when it is none.
Result<MountEntry> parse_mount_line(std::string_view line);

}  // namespace ashlar
