// capture_image(): the disks of a host become an image, all at the same moment.
#include <fmt/format.h>

#include <algorithm>
#include <thread>

#include "action/account_images.h"
#include "action/capture_run.h"
#include "action/disks.h"
#include "base/random.h"
#include "base/threads.h"
#include "image/pending_image.h"
#include "quiesce/quiescence.h"

namespace ashlar {
namespace {

// A source that is open, and how it is captured.
struct OpenDisk {
  const CaptureImage::Disk* wanted = nullptr;
  std::unique_ptr<FileLock> lock;  // of a volume, when the source is its raw file
  std::unique_ptr<Source> source;
  std::optional<SnapshotRecord> parent;
  Consistency consistency = Consistency::kQuiescent;
};

// Returns the image with ids for the snapshots that are still to be made. `size_of` returns the size of a
// disk by its index.
template <class SizeOf>
ImageRecord image_of(const CaptureImage& request, const SizeOf& size_of) {
  ImageRecord image;
  image.id = ImageId{random_u64()};
  image.name = request.name;
  image.description = request.description;
  image.created = UtcTime::now();
  image.architecture = request.architecture;
  image.boot_mode = request.boot_mode;
  image.tags = request.tags;
  for (std::size_t i = 0; i < request.disks.size(); ++i) {
    ImageDevice& device = image.devices.emplace_back();
    device.name = request.disks[i].device;
    device.size = size_of(i);
    device.content = {SnapshotId{random_u64()}, {}, device.size};
  }
  image.root_device = request.root_device;
  if (image.root_device.empty() && !image.devices.empty()) image.root_device = image.devices.front().name;
  std::ranges::sort(image.devices, {}, &ImageDevice::name);
  return image;
}

// Returns the consistency of the image. Who else writes to an NBD export is not known.
ImageConsistency consistency_of(const std::vector<OpenDisk>& disks) {
  const auto has = [&](Consistency wanted) {
    return std::ranges::any_of(disks, [&](const OpenDisk& disk) { return disk.consistency == wanted; });
  };
  if (has(Consistency::kLive)) return ImageConsistency::kLive;
  const auto is_nbd = [](const OpenDisk& disk) { return disk.source->type() == SourceType::kNbd; };
  if (std::ranges::any_of(disks, is_nbd)) return ImageConsistency::kSeparate;
  return has(Consistency::kFrozen) ? ImageConsistency::kFrozen : ImageConsistency::kStopped;
}

Result<std::vector<OpenDisk>> open_disks(Repo& repo, const Caller& caller, const CaptureImage& request) {
  std::vector<OpenDisk> disks;
  std::vector<SourceUse> uses;
  for (const CaptureImage::Disk& wanted : request.disks) {
    OpenDisk& disk = disks.emplace_back();
    disk.wanted = &wanted;
    disk.lock = TRY(hold_raw_file(repo, wanted.source));
    disk.source = TRY(open_source(wanted.source, {}));
    disk.parent = TRY(newest_of_source(repo, *disk.source, caller.notices));
    uses.push_back({disk.source.get(), wanted.source});
  }
  const Consistencies found = TRY(check_quiescence(uses, request.freeze, request.live));
  for (std::size_t i = 0; i < disks.size(); ++i) disks[i].consistency = found.of_sources[i];
  for (const std::string& mount_point : found.unused)
    caller.notices.warn(
        fmt::format("{} does not need to be frozen: no source is mounted there or lies on it", mount_point));
  return disks;
}

// Returns null where a source can't be cloned, and for a file that is written through a file system that is
// frozen: making a clone would wait for the thaw.
Result<std::unique_ptr<Source>> clone_of(const OpenDisk& disk, const std::vector<std::string>& freeze) {
  if (disk.source->type() != SourceType::kFile) return std::unique_ptr<Source>();
  for (const std::string& mount_point : freeze) {
    if (TRY(writes_through(disk.wanted->source, mount_point))) return std::unique_ptr<Source>();
  }
  auto clone = disk.source->clone();
  if (is(clone, ErrorCode::kUnsupported)) return std::unique_ptr<Source>();
  return clone;
}

// Replaces files by clones, which stay as they are however long reading takes. Returns whether all sources
// are clones.
Result<bool> clone_files(std::vector<OpenDisk>& disks, const std::vector<std::string>& freeze) {
  bool all = true;
  for (OpenDisk& disk : disks) {
    auto clone = TRY(clone_of(disk, freeze));
    all = all && clone;
    if (clone) disk.source = std::move(clone);
  }
  return all;
}

// Clones on a thread of its own: if cloning should wait for the thaw, a kill still ends the main thread, and
// the guardians see that and thaw.
Result<bool> clone_files_aside(std::vector<OpenDisk>& disks, const std::vector<std::string>& freeze) {
  Result<bool> cloned = false;
  start_thread([&] { cloned = clone_files(disks, freeze); }).join();
  return cloned;
}

Status capture_disks(Repo& repo, const Caller& caller, const ImageRecord& image,
                     std::vector<OpenDisk>& disks) {
  for (OpenDisk& disk : disks) {
    const auto mapped = std::ranges::find(image.devices, disk.wanted->device, &ImageDevice::name);
    CaptureOptions how;
    how.id = mapped->content.snapshot;
    how.parent = disk.parent;
    how.consistency = disk.consistency;
    how.name = image.name + " " + disk.wanted->device;
    how.description = "of " + disk.wanted->source + " for " + image.id.text();
    const CaptureReport report =
        TRY(run_capture(repo, caller, "image capture", *disk.source, std::move(how), ParentChoice::kGuessed));
    for (const std::string& warning : report.warnings) caller.notices.warn(warning);
  }
  return {};
}

// Holds writers still until the last disk is captured, or until all are cloned, which takes a moment.
Status capture_still(Repo& repo, const Caller& caller, const CaptureImage& request, const ImageRecord& image,
                     std::vector<OpenDisk>& disks) {
  Frozen frozen = TRY(Frozen::freeze(request.freeze, repo.address().directory));
  if (!frozen.is_empty() && TRY(clone_files_aside(disks, request.freeze))) TRY(frozen.thaw());
  TRY(capture_disks(repo, caller, image, disks));
  return frozen.thaw();
}

}  // namespace

Status check_request(const CaptureImage& request) {
  if (request.live && !request.freeze.empty()) return invalid("a live capture does not freeze file systems");
  for (const CaptureImage::Disk& disk : request.disks) {
    if (disk.source == "-") return invalid("standard input is not a disk of an image");
  }
  ImageRecord image = image_of(request, [](std::size_t) { return ByteCount{1}; });
  image.owner = AccountId{1};
  return check_limits(image);
}

Result<ImageRecord> capture_image(Repo& repo, const Caller& caller, const CaptureImage& request) {
  TRY(check_request(request));
  AccountImages::open(repo, caller);  // fails abandoned images, which may have the name
  std::vector<OpenDisk> disks = TRY(open_disks(repo, caller, request));
  ImageRecord image =
      image_of(request, [&](std::size_t i) { return disks[i].source->size().value_or(ByteCount{0}); });
  image.store = repo.config().id;
  image.owner = caller.account;
  image.consistency = consistency_of(disks);
  const auto pending =
      TRY(PendingImage::begin(repo.objects(), repo.config().id, PendingImage::Snapshots::kGoToBin));
  TRY(pending->publish(image));
  TRY(capture_still(repo, caller, request, image, disks));
  return pending->keep();
}

}  // namespace ashlar
