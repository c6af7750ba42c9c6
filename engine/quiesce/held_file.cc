#include "quiesce/held_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>

#include "base/interrupted.h"
#include "quiesce/mounts.h"

namespace ashlar {
namespace {

// Returns whether another process has the file open for writing: the kernel gives a lease for reading only
// while none has. The lease is given back at once, so no writer waits for it. A writer that comes in between
// makes the kernel send a signal; the default signal would end this process, SIGURG is ignored.
bool is_open_for_writing(int fd) {
  (void)::fcntl(fd, F_SETSIG, SIGURG);
  if (::fcntl(fd, F_SETLEASE, F_RDLCK) != 0) return errno == EAGAIN;
  (void)::fcntl(fd, F_SETLEASE, F_UNLCK);
  return false;
}

bool same_time(const timespec& a, const timespec& b) {
  return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

Status check_mounts(const std::string& name) {
  for (const MountUse& mount : TRY(mounts_of(name))) {
    if (mount.read_write)
      return busy(fmt::format("{} is mounted read-write on {}: unmount it first", name, mount.mount_point));
  }
  return {};
}

}  // namespace

Result<std::shared_ptr<const HeldFile>> HeldFile::open(const std::string& name) {
  // Opening a pipe would wait for its writer.
  UniqueFd fd(uninterrupted([&] { return ::open(name.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK); }));
  if (!fd.valid()) return last_errno(name);
  struct stat info {};
  if (::fstat(fd.get(), &info) != 0) return last_errno(name);
  if (S_ISDIR(info.st_mode)) return invalid(name + " is a directory, not a disk image");
  if (!S_ISREG(info.st_mode))
    return invalid(name + " is not a regular file").about(ErrorKind::kNotADiskFile, name);
  TRY(check_mounts(name));
  TRY(check_no_writer(name));
  if (is_open_for_writing(fd.get()))
    return busy(name + " is open for writing in another program: end that program first");
  return std::shared_ptr<const HeldFile>(new HeldFile(name, std::move(fd), info));
}

std::string HeldFile::path() const { return fmt::format("/proc/{}/fd/{}", ::getpid(), fd_.get()); }

Status HeldFile::check_unchanged() const {
  struct stat now {};
  if (::fstat(fd_.get(), &now) != 0) return last_errno(name_);
  const bool is_same = now.st_size == info_.st_size && same_time(now.st_mtim, info_.st_mtim) &&
                       same_time(now.st_ctim, info_.st_ctim);
  if (is_same && !is_open_for_writing(fd_.get())) return {};
  return busy(name_ + " was changed while it was read: end the program that writes to it");
}

}  // namespace ashlar
