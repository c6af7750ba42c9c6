// Mounts: finds out whether a source may be written to, and freezes a file system while a source is captured.
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
  dev_t superblock = 0;  // as superblock_of() returns it
};

// Returns the mounts that use a block device or a regular file: mounts of the device itself, of its
// partitions, and of the devices stacked on it (loop, device-mapper and md holders); for a file, those of the
// loop devices that it backs. Reads /proc/self/mountinfo and sysfs.
Result<std::vector<MountUse>> mounts_of(const std::string& path);

// Returns, as paths under /dev, the loop devices that a regular file backs and the loop devices over those,
// if they are held: mounted, or part of a volume group, an array or a swap space. A loop device that this
// process may not open counts when sysfs shows its holder.
Result<std::vector<std::string>> held_loops_over(const std::string& path);

// Returns kBusy, and names the writer, when a regular file may be written to in another way than through a
// mount: by a held, writable loop device, or by a program with an fcntl() lock, as QEMU takes it.
Status check_no_writer(const std::string& path);

// Returns the file system that holds `path`, as the device number that the mount table has for it: the same
// for all of its mounts and all of its subvolumes.
Result<dev_t> superblock_of(const std::string& path);

// Returns whether writing at `path` goes through the file system mounted on `mount_point`: the path is on it,
// or on a file system of a loop device backed by a file on it, and so on. Writing to such a path waits while
// that file system is frozen.
Result<bool> writes_through(const std::string& path, const std::string& mount_point);

// A frozen file system (FIFREEZE). It is thawed when this object is destroyed. When this process dies in any
// way, a guardian process thaws it, even if a killed thread hangs in the frozen file system.
class FrozenFileSystem {
 public:
  // Freezes the file system. It must not be the one that holds `never` (the store), nor hold a file that is
  // standard input, output or error: writing there would wait for the thaw forever.
  static Result<std::unique_ptr<FrozenFileSystem>> freeze(const std::string& mount_point,
                                                          const std::string& never);
  ~FrozenFileSystem();
  FrozenFileSystem(const FrozenFileSystem&) = delete;
  FrozenFileSystem& operator=(const FrozenFileSystem&) = delete;
  // Thaws the file system and returns whether that succeeded.
  Status thaw();

 private:
  struct State;
  explicit FrozenFileSystem(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace ashlar
