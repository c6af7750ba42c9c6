#include "quiescence.h"

#include <fmt/format.h>
#include <sys/types.h>

#include <algorithm>
#include <set>

namespace ashlar {
namespace {

// The file systems through which the source can be written to: those mounted from it, and the one that a
// source file lies on. Each that is mounted read-write must be in `frozen`.
Result<std::set<dev_t>> check_mounts(const SourceUse& use, const std::set<dev_t>& frozen) {
  std::set<dev_t> ways;
  const SourceType type = use.source->type();
  if (type != SourceType::kFile && type != SourceType::kDevice) return ways;
  for (const MountUse& mount : TRY(mounts_of(use.path))) {
    ways.insert(mount.superblock);
    if (!mount.read_write || frozen.contains(mount.superblock)) continue;
    return busy(
        fmt::format("{} is mounted read-write on {}: unmount it, add --freeze {} to hold its writers still, "
                    "or --live to take a copy as after a crash",
                    use.path, mount.mount_point, mount.mount_point));
  }
  if (type != SourceType::kFile) return ways;
  Status alone = check_no_writer(use.path);
  if (!alone.ok() && alone.error().code() == ErrorCode::kBusy)
    return busy(alone.error().text() + ", or add --live to take a copy as after a crash");
  TRY(std::move(alone));
  ways.insert(TRY(superblock_of(use.path)));
  return ways;
}

}  // namespace

Result<Consistencies> check_quiescence(const std::vector<SourceUse>& sources,
                                       const std::vector<std::string>& freeze, bool live) {
  Consistencies out;
  if (live) {
    out.of_sources.assign(sources.size(), Consistency::kLive);
    return out;
  }
  std::set<dev_t> frozen;
  for (const std::string& mount_point : freeze) frozen.insert(TRY(superblock_of(mount_point)));
  std::set<dev_t> all_ways;
  for (const SourceUse& use : sources) {
    const std::set<dev_t> ways = TRY(check_mounts(use, frozen));
    const bool is_frozen = std::ranges::any_of(ways, [&](dev_t way) { return frozen.contains(way); });
    out.of_sources.push_back(is_frozen ? Consistency::kFrozen : Consistency::kQuiescent);
    all_ways.insert(ways.begin(), ways.end());
  }
  for (const std::string& mount_point : freeze) {
    if (!all_ways.contains(TRY(superblock_of(mount_point)))) out.unused.push_back(mount_point);
  }
  return out;
}

Result<Frozen> freeze_all(const std::vector<std::string>& mount_points, const std::string& never) {
  Frozen frozen;
  frozen.reserve(mount_points.size());
  for (const std::string& mount_point : mount_points)
    frozen.push_back(TRY(FrozenFileSystem::freeze(mount_point, never)));
  return frozen;
}

Status thaw_all(Frozen& frozen) {
  Status first;
  for (const auto& file_system : frozen) {
    Status status = file_system->thaw();
    if (first.ok() && !status.ok()) first = std::move(status);
  }
  return first;
}

}  // namespace ashlar
