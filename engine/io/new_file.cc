#include "io/new_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>

#include "base/interrupted.h"
#include "base/unique_fd.h"
#include "io/file_system.h"

namespace ashlar {
namespace {

Error is_taken(const std::string& path) {
  return invalid(path + " exists already").about(ErrorKind::kTargetExists, path);
}

Status sync_file(const std::string& path) {
  const UniqueFd fd(uninterrupted([&] { return ::open(path.c_str(), O_RDONLY | O_CLOEXEC); }));
  if (!fd.valid()) return last_errno(path);
  return uninterrupted([&] { return ::fsync(fd.get()); }) == 0 ? Status() : last_errno(path);
}

// Never replaces a file. Makes a second name where the file system has no such rename (NFS).
Status rename_new(const std::string& from, const std::string& to) {
  if (::renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), RENAME_NOREPLACE) == 0) return {};
  if (errno == EEXIST) return is_taken(to);
  if (errno != EINVAL) return last_errno(to);
  Status linked = posix_file_system().link(from, to);
  if (!linked.ok() && linked.error().error_number() == EEXIST) return is_taken(to);
  return linked;
}

// Resolves a path as the kernel does: "link/.." is the parent of the place that the link leads to.
Result<std::filesystem::path> real_place(const std::string& path) {
  const std::filesystem::path given = std::filesystem::absolute(path);
  const std::string name = given.filename().string();
  if (name.empty() || name == "." || name == "..")
    return invalid(path + " is a directory: name a new file in it");
  std::error_code failed;
  const std::filesystem::path parent = std::filesystem::canonical(given.parent_path(), failed);
  if (failed) return Error::from_errno(failed.value(), path);
  return parent / name;
}

}  // namespace

Result<NewFile> NewFile::begin(const std::string& path) {
  struct stat info {};
  if (::lstat(path.c_str(), &info) == 0) return is_taken(path);
  const std::filesystem::path target = TRY(real_place(path));
  PrivateDirectory directory = TRY(PrivateDirectory::make_at(target.string() + ".ashlar-partial-"));
  std::string working = (std::filesystem::path(directory.path()) / target.filename()).string();
  return NewFile(target.string(), std::move(directory), std::move(working));
}

Status NewFile::publish() {
  TRY(sync_file(working_path_));
  TRY(rename_new(working_path_, target_));
  return posix_file_system().sync_directory(std::filesystem::path(target_).parent_path().string());
}

}  // namespace ashlar
