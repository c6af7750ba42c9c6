// NewFile: a file that another program writes, and that appears under its name only once it is complete and
// durable.
#pragma once

#include <string>

#include "base/quantity.h"
#include "io/private_directory.h"

namespace ashlar {

class NewFile {
 public:
  // Makes a private directory for the file. Fails with kInvalid, kind kTargetExists, when the name is taken.
  static Result<NewFile> begin(const std::string& path);

  // Returns the path to write to: in a directory beside the target, under the target's own name, because some
  // formats keep the name of their file.
  const std::string& path() const { return working_path_; }
  // Makes the file durable and gives it its name. Fails with kInvalid, kind kTargetExists, when the name was
  // taken meanwhile.
  Status publish();

 private:
  NewFile(std::string target, PrivateDirectory directory, std::string working_path)
      : target_(std::move(target)),
        directory_(std::move(directory)),
        working_path_(std::move(working_path)) {}

  std::string target_;  // absolute
  PrivateDirectory directory_;
  std::string working_path_;
};

}  // namespace ashlar
