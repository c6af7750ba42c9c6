// PrivateDirectory: a new directory that only its owner enters, and that is gone when this object is: for the
// sockets and logs of programs that work for us, and for files that are not finished.
#pragma once

#include <string>

#include "base/result.h"

namespace ashlar {

class PrivateDirectory {
 public:
  // In $TMPDIR, else in /tmp.
  static Result<PrivateDirectory> make();
  // Beside other files: "<prefix>XXXXXX".
  static Result<PrivateDirectory> make_at(const std::string& prefix);
  PrivateDirectory(PrivateDirectory&& other) noexcept : path_(std::move(other.path_)) { other.path_.clear(); }
  PrivateDirectory& operator=(PrivateDirectory&&) = delete;
  PrivateDirectory(const PrivateDirectory&) = delete;
  PrivateDirectory& operator=(const PrivateDirectory&) = delete;
  ~PrivateDirectory();

  const std::string& path() const { return path_; }

 private:
  explicit PrivateDirectory(std::string path) : path_(std::move(path)) {}
  std::string path_;
};

}  // namespace ashlar
