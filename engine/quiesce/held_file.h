// HeldFile: a disk file of another program, opened once. The file that was checked is the file that is read,
// also when its name leads elsewhere meanwhile, and a change during the read is found.
#pragma once

#include <sys/stat.h>

#include <memory>
#include <string>

#include "base/result.h"
#include "base/unique_fd.h"

namespace ashlar {

class HeldFile {
 public:
  // Opens a file. Fails with kInvalid when it is not a regular file (kind kNotADiskFile), and with kBusy when
  // a program may be writing to it: the file is mounted, locked, under a loop device or, where the file
  // system tells (it has leases, and the file is ours or we are root), open for writing.
  static Result<std::shared_ptr<const HeldFile>> open(const std::string& name);

  const std::string& name() const { return name_; }
  // Returns a path to the open descriptor, which other processes can open too.
  std::string path() const;
  // Fails with kBusy when the file is open for writing now, or has another size or other times than when it
  // was opened. Writes through a mapping may show late in the times.
  Status check_unchanged() const;

 private:
  HeldFile(std::string name, UniqueFd fd, const struct stat& info)
      : name_(std::move(name)), fd_(std::move(fd)), info_(info) {}

  const std::string name_;
  const UniqueFd fd_;
  const struct stat info_;
};

}  // namespace ashlar
