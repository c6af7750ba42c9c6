#include "quiesce/mounts.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <charconv>
#include <filesystem>
#include <fstream>
#include <set>

#include "base/interrupted.h"
#include "base/unique_fd.h"
#include "io/file_use.h"
#include "quiesce/mount_table.h"

namespace ashlar {
namespace {

namespace fs = std::filesystem;
using Devices = std::set<dev_t>;

std::string first_line(const fs::path& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

std::vector<fs::path> entries_of(const fs::path& directory) {
  std::vector<fs::path> entries;
  std::error_code ignored;
  for (const fs::directory_entry& entry : fs::directory_iterator(directory, ignored))
    entries.push_back(entry.path());
  return entries;
}

// Parses a sysfs `dev` attribute such as "8:1".
std::optional<dev_t> device_number(const fs::path& attribute) {
  const std::string text = first_line(attribute);
  const std::size_t colon = text.find(':');
  unsigned major_number = 0;
  unsigned minor_number = 0;
  if (colon == std::string::npos) return std::nullopt;
  const char* end = text.data() + text.size();
  if (std::from_chars(text.data(), text.data() + colon, major_number).ec != std::errc()) return std::nullopt;
  if (std::from_chars(text.data() + colon + 1, end, minor_number).ec != std::errc()) return std::nullopt;
  return makedev(major_number, minor_number);
}

bool same_file(const struct stat& a, const struct stat& b) {
  if (S_ISBLK(a.st_mode) && S_ISBLK(b.st_mode)) return a.st_rdev == b.st_rdev;
  return a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

void add_device(dev_t device, Devices& devices);

// Adds the loop devices that this file or block device backs.
void add_loops_over(const struct stat& backing, Devices& devices) {
  for (const fs::path& loop : entries_of("/sys/block")) {
    const std::string path = first_line(loop / "loop/backing_file");
    struct stat info {};
    if (path.empty() || ::stat(path.c_str(), &info) != 0 || !same_file(info, backing)) continue;
    if (const auto number = device_number(loop / "dev")) add_device(*number, devices);
  }
}

// Adds all devices of a btrfs: it is mounted under the name of any one of them.
void add_btrfs_siblings(dev_t device, Devices& devices) {
  for (const fs::path& file_system : entries_of("/sys/fs/btrfs")) {
    Devices members;
    for (const fs::path& member : entries_of(file_system / "devices")) {
      if (const auto number = device_number(member / "dev")) members.insert(*number);
    }
    if (members.contains(device)) devices.insert(members.begin(), members.end());
  }
}

// Adds the device, its partitions, and all devices stacked on any of them.
void add_device(dev_t device, Devices& devices) {
  if (!devices.insert(device).second) return;
  const fs::path sysfs = fmt::format("/sys/dev/block/{}:{}", major(device), minor(device));
  for (const fs::path& entry : entries_of(sysfs)) {
    std::error_code ignored;
    if (!fs::exists(entry / "partition", ignored)) continue;
    if (const auto number = device_number(entry / "dev")) add_device(*number, devices);
  }
  for (const fs::path& holder : entries_of(sysfs / "holders")) {
    if (const auto number = device_number(holder / "dev")) add_device(*number, devices);
  }
  struct stat self {};
  self.st_mode = S_IFBLK;
  self.st_rdev = device;
  add_loops_over(self, devices);
  add_btrfs_siblings(device, devices);
}

bool uses_any(const MountEntry& mount, const Devices& devices) {
  if (devices.contains(mount.device)) return true;
  struct stat info {};
  return mount.source.starts_with('/') && ::stat(mount.source.c_str(), &info) == 0 && S_ISBLK(info.st_mode) &&
         devices.contains(info.st_rdev);
}

fs::path sysfs_of(dev_t device) {
  std::error_code ignored;
  return fs::canonical(fmt::format("/sys/dev/block/{}:{}", major(device), minor(device)), ignored);
}

// Returns whether the device is in use. O_EXCL without O_CREAT fails on a device that another user has
// claimed. Not every process may open the files in /dev, so the holders in sysfs count too.
bool is_held(const std::string& device, const fs::path& sysfs) {
  const UniqueFd claimed(
      uninterrupted([&] { return ::open(device.c_str(), O_RDONLY | O_EXCL | O_CLOEXEC); }));
  return (!claimed.valid() && errno == EBUSY) || !entries_of(sysfs / "holders").empty();
}

}  // namespace

Result<std::vector<std::string>> held_loops_over(const std::string& path) {
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) return last_errno(path);
  Devices devices;
  if (S_ISREG(info.st_mode)) add_loops_over(info, devices);
  std::vector<std::string> held;
  for (const dev_t device : devices) {
    const fs::path sysfs = sysfs_of(device);
    const std::string name = "/dev/" + sysfs.filename().string();
    if (name.starts_with("/dev/loop") && is_held(name, sysfs)) held.push_back(name);
  }
  return held;
}

Status check_no_writer(const std::string& path) {
  const UniqueFd file(uninterrupted([&] { return ::open(path.c_str(), O_RDONLY | O_CLOEXEC); }));
  if (!file.valid()) return last_errno(path);
  TRY(check_unlocked(file.get(), path));
  for (const std::string& loop : TRY(held_loops_over(path))) {
    struct stat info {};
    if (::stat(loop.c_str(), &info) == 0 && first_line(sysfs_of(info.st_rdev) / "ro") == "1") continue;
    // The caller has looked at the mounts already, and may have frozen them.
    if (TRY(mounts_of(loop)).empty())
      return busy(fmt::format("{} is in use through {}: detach that device first", path, loop));
  }
  return {};
}

Result<std::vector<MountUse>> mounts_of(const std::string& path) {
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) return last_errno(path);
  Devices devices;
  if (S_ISBLK(info.st_mode)) {
    add_device(info.st_rdev, devices);
  } else if (S_ISREG(info.st_mode)) {
    add_loops_over(info, devices);
  }
  std::vector<MountUse> uses;
  if (devices.empty()) return uses;
  for (const MountEntry& mount : TRY(mount_table())) {
    if (uses_any(mount, devices)) uses.push_back({mount.mount_point, mount.read_write, mount.device});
  }
  return uses;
}

}  // namespace ashlar
