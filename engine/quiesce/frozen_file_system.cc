#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <array>
#include <fstream>

#include "base/interrupted.h"
#include "quiesce/guardian.h"
#include "quiesce/mount_table.h"
#include "quiesce/mounts.h"

namespace ashlar {
namespace {

struct Place {
  dev_t device = 0;      // st_dev of the file system
  dev_t superblock = 0;  // equal for all subvolumes of a btrfs
  bool is_mount_point = false;
};

Result<Place> place_of(const struct statx& info) {
  Place place;
  place.device = makedev(info.stx_dev_major, info.stx_dev_minor);
  place.superblock = place.device;
  place.is_mount_point = (info.stx_attributes & STATX_ATTR_MOUNT_ROOT) != 0;
  for (const MountEntry& mount : TRY(mount_table())) {
    if (mount.id == info.stx_mnt_id) place.superblock = mount.device;
  }
  return place;
}

Result<Place> place_of(const std::string& path) {
  struct statx info {};
  if (::statx(AT_FDCWD, path.c_str(), 0, STATX_BASIC_STATS | STATX_MNT_ID, &info) != 0)
    return last_errno(path);
  return place_of(info);
}

Result<Place> place_of(int fd) {
  struct statx info {};
  if (::statx(fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS | STATX_MNT_ID, &info) != 0)
    return last_errno("statx");
  return place_of(info);
}

// Returns the path of the file that a loop device is backed by; empty for other devices.
std::string backing_file(dev_t device) {
  std::ifstream file(fmt::format("/sys/dev/block/{}:{}/loop/backing_file", major(device), minor(device)));
  std::string path;
  std::getline(file, path);
  return path;
}

// Returns whether writing at `place` writes to the frozen file system: the place is on it, or on a loop
// device backed by a file on it (up to 8 loop devices deep).
Result<bool> writes_to(Place place, const Place& frozen) {
  constexpr int kMostLoops = 8;
  for (int i = 0; i < kMostLoops; ++i) {
    if (place.device == frozen.device || place.superblock == frozen.superblock) return true;
    const std::string backing = backing_file(place.superblock);
    if (backing.empty()) break;
    place = TRY(place_of(backing));
  }
  return false;
}

// Refuses to freeze the file system that holds a standard file: a progress line written to it would wait for
// the thaw, and the thaw for that line.
Status check_standard_files(const std::string& mount_point, const Place& frozen) {
  constexpr std::array<const char*, 3> kNames = {"input", "output", "error"};
  for (int fd = 0; fd < 3; ++fd) {
    const auto place = place_of(fd);
    if (!place.ok() || !TRY(writes_to(place.value(), frozen))) continue;
    return invalid(
        fmt::format("{}: can't be frozen, standard {} is a file on it: redirect that to another "
                    "file system",
                    mount_point, kNames[static_cast<std::size_t>(fd)]));
  }
  return {};
}

Error freeze_error(const std::string& mount_point, Error error) {
  if (error.error_number() == EBUSY) {
    return busy(mount_point + ": another program has frozen it already: it stays frozen");
  }
  if (error.error_number() == EOPNOTSUPP || error.error_number() == ENOTTY) {
    return unsupported(mount_point + ": this file system can't be frozen");
  }
  return std::move(error).with_context(mount_point);
}

}  // namespace

Result<bool> writes_through(const std::string& path, const std::string& mount_point) {
  return writes_to(TRY(place_of(path)), TRY(place_of(mount_point)));
}

Result<dev_t> superblock_of(const std::string& path) { return TRY(place_of(path)).superblock; }

struct FrozenFileSystem::State {
  std::string mount_point;
  UniqueFd mount;
  std::optional<Guardian> guardian;
};

FrozenFileSystem::FrozenFileSystem(std::unique_ptr<State> state) : state_(std::move(state)) {}

FrozenFileSystem::~FrozenFileSystem() {
  // A destructor cannot report an error; a caller that needs the result calls thaw().
  if (!thaw().ok()) return;
}

Result<std::unique_ptr<FrozenFileSystem>> FrozenFileSystem::freeze(const std::string& mount_point,
                                                                   const std::string& never) {
  const Place place = TRY(place_of(mount_point));
  if (!place.is_mount_point) {
    return invalid(mount_point + " is not a mount point: the whole file system that it lies on would freeze");
  }
  if (!never.empty() && TRY(writes_to(TRY(place_of(never)), place))) {
    return invalid(fmt::format("{}: can't be frozen, {} lies on it", mount_point, never));
  }
  TRY(check_standard_files(mount_point, place));
  auto state = std::make_unique<State>();
  state->mount_point = mount_point;
  state->mount.reset(uninterrupted([&] { return ::open(mount_point.c_str(), O_RDONLY | O_CLOEXEC); }));
  if (!state->mount.valid()) return last_errno(mount_point);
  Result<Guardian> guardian = Guardian::freeze(state->mount);
  if (!guardian.ok()) return freeze_error(mount_point, guardian.take_error());
  state->guardian.emplace(guardian.take());
  return std::unique_ptr<FrozenFileSystem>(new FrozenFileSystem(std::move(state)));
}

Status FrozenFileSystem::thaw() {
  if (!state_->guardian) return {};
  Status status = state_->guardian->thaw(state_->mount);
  state_->guardian.reset();
  state_->mount.reset();  // an open descriptor would prevent unmounting
  return std::move(status).with_context(state_->mount_point);
}

}  // namespace ashlar
