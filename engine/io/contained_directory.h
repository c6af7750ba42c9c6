// Reads files below a directory whose contents come from elsewhere: no symbolic link below it is followed,
// and only regular files are opened (a pipe or a device is refused unopened: opening one may wait, or do
// something), so that a name in it leads nowhere else. Needs /proc.
#pragma once

#include <memory>
#include <string>

#include "base/unique_fd.h"
#include "io/file_system.h"

namespace ashlar {

class ContainedDirectory {
 public:
  // `path` itself may be a link: its user named it.
  static Result<ContainedDirectory> open(const std::string& path);

  // `name` is relative, '/'-separated. kNotFound when there is none, kInvalid for a link or anything else
  // that is no file.
  Result<std::unique_ptr<ReadableFile>> open_file(const std::string& name) const;

 private:
  ContainedDirectory(UniqueFd fd, std::string path) : fd_(std::move(fd)), path_(std::move(path)) {}

  UniqueFd fd_;
  std::string path_;
};

}  // namespace ashlar
