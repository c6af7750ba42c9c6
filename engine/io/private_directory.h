// PrivateDirectory: a new directory that only its owner can enter, removed with this object. It holds sockets
// and logs of programs that work for this process, and files that are not finished.
#pragma once

#include <string>

#include "base/result.h"

namespace ashlar {

class PrivateDirectory {
 public:
  // Makes one in $TMPDIR, else in /tmp.
  static Result<PrivateDirectory> make();
  // Makes one at "<prefix>XXXXXX", beside other files.
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
