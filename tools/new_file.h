// NewFile: a file that another program writes, and that appears under its name only once it is whole and
// durable.
#pragma once

#include <string>

#include "base/quantity.h"
#include "private_directory.h"

namespace ashlar {

class NewFile {
 public:
  // kInvalid when the name is taken.
  static Result<NewFile> begin(const std::string& path);

  // Where to write it: of the same name, as some formats keep their file's name, in a directory beside it.
  const std::string& path() const { return working_path_; }
  // Makes it durable and gives it its name. kInvalid when that was taken meanwhile.
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
