#include "quiesce/quiescence.h"

#include <fmt/format.h>
#include <sys/types.h>

#include <algorithm>
#include <set>

namespace ashlar {
namespace {

// Returns the file systems through which the source can be written to: those mounted from it, and the one
// that holds a source file. Each one that is mounted read-write must be in `frozen`.
Result<std::set<dev_t>> check_mounts(const SourceUse& use, const std::set<dev_t>& frozen) {
  std::set<dev_t> ways;
  const SourceType type = use.source->type();
  if (type != SourceType::kFile && type != SourceType::kDevice) return ways;
  for (const MountUse& mount : TRY(mounts_of(use.path))) {
    ways.insert(mount.superblock);
    if (!mount.read_write || frozen.contains(mount.superblock)) continue;
    return busy(fmt::format("{} is mounted read-write on {}", use.path, mount.mount_point))
        .about(ErrorKind::kSourceInUse, mount.mount_point);
  }
  if (type != SourceType::kFile) return ways;
  Status alone = check_no_writer(use.path);
  if (is(alone, ErrorCode::kBusy)) return alone.error().about(ErrorKind::kSourceInUse, "");
  TRY(std::move(alone));
  ways.insert(TRY(superblock_of(use.path)));
  return ways;
}

// Returns the index of a mount point on which none of the others lies. When each of them carries another, one
// is named twice; the second freeze then reports that.
Result<std::size_t> topmost(const std::vector<std::string>& mount_points) {
  for (std::size_t i = 0; i < mount_points.size(); ++i) {
    bool carries = false;
    for (std::size_t j = 0; j < mount_points.size(); ++j)
      carries = carries || (i != j && TRY(writes_through(mount_points[j], mount_points[i])));
    if (!carries) return i;
  }
  return std::size_t{0};
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

Result<Frozen> Frozen::freeze(std::vector<std::string> mount_points, const std::string& never) {
  Frozen frozen;
  while (!mount_points.empty()) {
    const auto next = mount_points.begin() + static_cast<std::ptrdiff_t>(TRY(topmost(mount_points)));
    frozen.file_systems_.push_back(TRY(FrozenFileSystem::freeze(*next, never)));
    mount_points.erase(next);
  }
  return frozen;
}

Frozen::~Frozen() {
  // A destructor cannot report an error; a caller that needs the result calls thaw().
  if (!thaw().ok()) return;
}

Status Frozen::thaw() {
  Status first;
  while (!file_systems_.empty()) {
    Status status = file_systems_.back()->thaw();
    if (first.ok() && !status.ok()) first = std::move(status);
    file_systems_.pop_back();
  }
  return first;
}

}  // namespace ashlar
