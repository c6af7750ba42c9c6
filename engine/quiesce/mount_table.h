// Mount table: the mounts that this process sees, from /proc/self/mountinfo (proc_pid_mountinfo(5)).
// Internal to the module.
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
  dev_t device = 0;  // device of the superblock; anonymous for btrfs and similar file systems
  std::string mount_point;
  std::string source;  // as given to mount: often the path of a device
  // True when the superblock is mounted read-write: a read-only bind mount of a file system that is writable
  // elsewhere counts as read-write.
  bool read_write = false;
};

Result<std::vector<MountEntry>> mount_table();

// Parses one line of mountinfo; kCorrupt when it is not a valid line.
Result<MountEntry> parse_mount_line(std::string_view line);

}  // namespace ashlar
