#include "io/replace_file.h"

#include <filesystem>

namespace ashlar {

Status replace_file(FileSystem& files, const std::string& path, ByteSpan bytes) {
  const std::string fresh = path + ".new";
  // A crash may have left one.
  TRY(remove_if_there(files, fresh));
  {
    const auto file = TRY(files.create(fresh));
    TRY(file->append(bytes));
    TRY(file->sync());
  }
  TRY(files.rename(fresh, path));
  const std::string folder = std::filesystem::path(path).parent_path().native();
  return files.sync_directory(folder.empty() ? "." : folder);
}

}  // namespace ashlar
