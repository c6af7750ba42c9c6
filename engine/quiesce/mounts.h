// Whether somebody is writing to a source, and freezing the file system while it is captured.
#pragma once

#include <sys/types.h>

#include <memory>
#include <string>
#include <vector>

#include "base/result.h"

namespace ashlar {

struct MountUse {
  std::string mount_point;
  bool read_write = false;
  dev_t superblock = 0;  // as superblock_of() numbers it
};

// The mounts that use a block device or regular file: the device itself, its partitions, what is stacked on
// it (loop, device-mapper and md holders), and for a file the loop devices that it backs. From
// /proc/self/mountinfo and sysfs.
Result<std::vector<MountUse>> mounts_of(const std::string& path);

// Loop devices over a regular file, and over those, that somebody holds: mounted, or part of a volume group,
// an array or a swap space. As paths below /dev. A loop device that this process may not open counts when
// sysfs shows what holds it.
Result<std::vector<std::string>> held_loops_over(const std::string& path);

// Whether somebody may be writing to a regular file by another way than a mount: a held loop device that
// can be written to, or an fcntl() lock as QEMU takes. kBusy, with what was found.
Status check_no_writer(const std::string& path);

// The file system that `path` lies on, by the device number that the mount table has for it: the same for all
// its mounts and all its subvolumes.
Result<dev_t> superblock_of(const std::string& path);

// Whether what lies at `path` is written through the file system mounted on `mount_point`: it lies there, or
// on a file system of a loop device over a file there, and so on. Writing to such a path waits while that is
// frozen.
Result<bool> writes_through(const std::string& path, const std::string& mount_point);

// A frozen file system (FIFREEZE). It is thawed when this is destroyed, and by a guardian process when this
// process dies in whatever way, also when it was killed and a thread of it hangs in the frozen file system.
class FrozenFileSystem {
 public:
  // Must not be the file system that `never` lies on (the store), nor that of a file that is standard input,
  // output or error: writing there would wait for the thaw for ever.
  static Result<std::unique_ptr<FrozenFileSystem>> freeze(const std::string& mount_point,
                                                          const std::string& never);
  ~FrozenFileSystem();
  FrozenFileSystem(const FrozenFileSystem&) = delete;
  FrozenFileSystem& operator=(const FrozenFileSystem&) = delete;
  // Thaws now and says whether that worked.
  Status thaw();

 private:
  struct State;
  explicit FrozenFileSystem(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace ashlar
