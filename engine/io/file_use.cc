#include "io/file_use.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/file.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>

#include "base/interrupted.h"

namespace ashlar {
namespace {

constexpr std::array<long, 4> kTrueHoles = {EXT4_SUPER_MAGIC, XFS_SUPER_MAGIC, BTRFS_SUPER_MAGIC,
                                            TMPFS_MAGIC};

}  // namespace

bool holes_can_be_trusted(int fd) {
  struct statfs info {};
  if (::fstatfs(fd, &info) != 0) return false;
  const bool known = std::ranges::find(kTrueHoles, static_cast<long>(info.f_type)) != kTrueHoles.end();
  return known && uninterrupted([&] { return ::fsync(fd); }) == 0;
}

Status check_unlocked(int fd, const std::string& path) {
  struct flock lock {};
  lock.l_type = F_WRLCK;
  lock.l_whence = SEEK_SET;
  // A file system that does not support such locks can't have a locked file.
  if (::fcntl(fd, F_OFD_GETLK, &lock) != 0 || lock.l_type == F_UNLCK) return {};
  return busy(path + " is locked by another program, as QEMU locks its images: end that program");
}

Status lock_for_writing(int fd, const std::string& path) {
  while (::flock(fd, LOCK_EX | LOCK_NB) != 0) {
    if (errno == EINTR) continue;
    if (errno == EWOULDBLOCK) return busy(path + " is being written by another restore");
    return last_errno("lock " + path);
  }
  return {};
}

}  // namespace ashlar
