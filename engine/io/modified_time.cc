#include "io/modified_time.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <array>
#include <ctime>

namespace ashlar {
namespace {

constexpr std::uint64_t kSecond = 1'000'000'000;

}  // namespace

Result<FileStamp> stamp_of(const std::string& path) {
  struct stat info {};
  if (::lstat(path.c_str(), &info) != 0) return last_errno("stat " + path);
  return FileStamp{static_cast<std::uint64_t>(info.st_size),
                   static_cast<std::uint64_t>(info.st_mtim.tv_sec) * kSecond +
                       static_cast<std::uint64_t>(info.st_mtim.tv_nsec)};
}

Result<FileStamp> renew_stamp(const std::string& path) {
  timespec now{};
  ::clock_gettime(CLOCK_REALTIME, &now);
  const std::array<timespec, 2> times = {timespec{0, UTIME_OMIT}, now};
  if (::utimensat(AT_FDCWD, path.c_str(), times.data(), AT_SYMLINK_NOFOLLOW) != 0)
    return last_errno("set the time of " + path);
  return stamp_of(path);
}

}  // namespace ashlar
