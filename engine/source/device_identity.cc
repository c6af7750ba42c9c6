// device_identity(): tells disks apart by what the kernel publishes about them in sysfs.
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <vector>

#include "source/device_source.h"

namespace ashlar {
namespace {

namespace fs = std::filesystem;

// Returns the first line of the attribute without surrounding blanks; empty when the attribute does not
// exist.
std::string attribute(const fs::path& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  const std::size_t first = line.find_first_not_of(" \t");
  if (first == std::string::npos) return {};
  return line.substr(first, line.find_last_not_of(" \t") - first + 1);
}

// Returns "ATTRIBUTE:VALUE" for the whole disk whose sysfs directory is `disk`, or an empty text.
std::string unique_name(const fs::path& disk) {
  // The most specific attribute comes first. A name that belongs to the medium stays when the medium moves to
  // another slot or host.
  constexpr std::array<std::string_view, 7> kAttributes = {
      "dm/uuid", "md/uuid", "wwid", "device/wwid", "serial", "device/serial", "device/cid"};
  for (const std::string_view name : kAttributes) {
    const std::string value = attribute(disk / name);
    if (!value.empty()) return fmt::format("{}:{}", name, value);
  }
  const std::string backing = attribute(disk / "loop/backing_file");
  if (!backing.empty()) return fmt::format("loop:{}:{}", attribute(disk / "loop/offset"), backing);
  return {};
}

// Returns the alphabetically first name in /dev/disk/by-id that leads to this device.
std::string by_id_name(const fs::path& canonical) {
  std::error_code ignored;
  std::vector<std::string> names;
  for (const fs::directory_entry& entry : fs::directory_iterator("/dev/disk/by-id", ignored)) {
    if (fs::canonical(entry.path(), ignored) == canonical) names.push_back(entry.path().string());
  }
  return names.empty() ? std::string() : *std::min_element(names.begin(), names.end());
}

}  // namespace

std::string device_identity(const std::string& path) {
  std::error_code failed;
  const fs::path canonical = fs::canonical(path, failed);
  struct stat info {};
  if (failed || ::stat(path.c_str(), &info) != 0) return "device:" + path;
  const fs::path device =
      fs::canonical(fmt::format("/sys/dev/block/{}:{}", major(info.st_rdev), minor(info.st_rdev)), failed);
  if (!failed) {
    const std::string partition = attribute(device / "partition");
    const std::string disk = unique_name(partition.empty() ? device : device.parent_path());
    if (!disk.empty()) return fmt::format("device:{}:part{}", disk, partition.empty() ? "0" : partition);
  }
  const std::string by_id = by_id_name(canonical);
  return "device:" + (by_id.empty() ? canonical.string() : by_id);
}

}  // namespace ashlar
