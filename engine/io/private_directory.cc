#include "io/private_directory.h"

#include <cstdlib>
#include <filesystem>

namespace ashlar {

Result<PrivateDirectory> PrivateDirectory::make() {
  std::error_code failed;
  const std::filesystem::path parent = std::filesystem::temp_directory_path(failed);
  if (failed) return Error::from_errno(failed.value(), "$TMPDIR");
  return make_at(std::filesystem::absolute(parent / "ashlar-").string());
}

Result<PrivateDirectory> PrivateDirectory::make_at(const std::string& prefix) {
  std::string path = prefix + "XXXXXX";
  if (::mkdtemp(path.data()) == nullptr) return last_errno(prefix);
  return PrivateDirectory(std::move(path));
}

PrivateDirectory::~PrivateDirectory() {
  std::error_code ignored;
  if (!path_.empty()) std::filesystem::remove_all(path_, ignored);
}

}  // namespace ashlar
