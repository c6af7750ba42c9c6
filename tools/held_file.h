// HeldFile: a file of another program, opened once. What was looked at is what is read, whatever becomes of
// its name; and whether it was written to meanwhile can be told.
#pragma once

#include <sys/stat.h>

#include <memory>
#include <string>

#include "base/result.h"
#include "base/unique_fd.h"

namespace ashlar {

class HeldFile {
 public:
  // Fails with kInvalid when it is not a regular file; with kBusy when a process may be writing to it: it is
  // mounted, locked, under a loop device or, where the file system tells (it has leases, and the file is ours
  // or we are root), open for writing.
  static Result<std::shared_ptr<const HeldFile>> open(const std::string& name);

  const std::string& name() const { return name_; }
  // By descriptor, for other processes too.
  std::string path() const;
  // kBusy when it is open for writing now, or has another size or other times than when it was opened. A
  // program that writes through a mapping may be told late by the kernel.
  Status check_unchanged() const;

 private:
  HeldFile(std::string name, UniqueFd fd, const struct stat& info)
      : name_(std::move(name)), fd_(std::move(fd)), info_(info) {}

  const std::string name_;
  const UniqueFd fd_;
  const struct stat info_;
};

}  // namespace ashlar
