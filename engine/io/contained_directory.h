// ContainedDirectory: reads files below a directory of unknown origin. It follows no symbolic link below the
// directory and opens only regular files, so a name leads nowhere else. A pipe or device is refused without
// opening it, because opening one may block or have an effect. Needs /proc.
#pragma once

#include <memory>
#include <string>

#include "base/unique_fd.h"
#include "io/file_system.h"

namespace ashlar {

class ContainedDirectory {
 public:
  // Opens the directory. `path` itself may be a link, because it was named by the user.
  static Result<ContainedDirectory> open(const std::string& path);

  // Opens a file. `name` is relative and '/'-separated. Returns kNotFound when it does not exist, kInvalid
  // for a link and for anything else that is not a regular file.
  Result<std::unique_ptr<ReadableFile>> open_file(const std::string& name) const;

 private:
  ContainedDirectory(UniqueFd fd, std::string path) : fd_(std::move(fd)), path_(std::move(path)) {}

  UniqueFd fd_;
  std::string path_;
};

}  // namespace ashlar
