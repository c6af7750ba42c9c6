#include "io/contained_directory.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include "io/object_key.h"
#include "io/posix_reader.h"

namespace ashlar {
namespace {

Result<UniqueFd> open_below(int directory, const std::string& name, int flags, const std::string& shown) {
  for (;;) {
    UniqueFd fd(::openat(directory, name.c_str(), flags | O_PATH | O_NOFOLLOW | O_CLOEXEC));
    if (fd.valid()) return fd;
    if (errno == EINTR) continue;
    if (errno == ENOTDIR)  // the answer for a link, too
      return invalid(fmt::format("{} is a symbolic link or not a directory: links are not followed", shown));
    return last_errno("open " + shown);
  }
}

// Opens for reading the file that the descriptor `found` refers to. The caller has checked that file, and it
// can't be replaced by another one in between.
Result<UniqueFd> open_found(int found, const std::string& shown) {
  const std::string path = fmt::format("/proc/self/fd/{}", found);
  for (;;) {
    UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (fd.valid()) return fd;
    if (errno != EINTR) return last_errno("open " + shown);
  }
}

}  // namespace

Result<ContainedDirectory> ContainedDirectory::open(const std::string& path) {
  UniqueFd fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd.valid()) return last_errno("open directory " + path);
  return ContainedDirectory(std::move(fd), path);
}

Result<std::unique_ptr<ReadableFile>> ContainedDirectory::open_file(const std::string& name) const {
  TRY(check_object_key(name));  // refuses ".." and absolute names
  const std::string shown = path_ + "/" + name;
  UniqueFd folder;
  std::size_t begin = 0;
  for (std::size_t slash = name.find('/'); slash != std::string::npos; slash = name.find('/', begin)) {
    folder = TRY(open_below(folder.valid() ? folder.get() : fd_.get(), name.substr(begin, slash - begin),
                            O_DIRECTORY, shown));
    begin = slash + 1;
  }
  const UniqueFd found =
      TRY(open_below(folder.valid() ? folder.get() : fd_.get(), name.substr(begin), 0, shown));
  struct stat info {};
  if (::fstat(found.get(), &info) != 0) return last_errno("open " + shown);
  if (S_ISLNK(info.st_mode)) return invalid(shown + " is a symbolic link: links are not followed");
  if (!S_ISREG(info.st_mode)) return invalid(shown + " is not a regular file");
  return posix_reader_of(TRY(open_found(found.get(), shown)), shown);
}

}  // namespace ashlar
