// ashlar image capture: the disks of a host become an image, all of them of one moment.
#include <fmt/format.h>

#include <algorithm>
#include <thread>

#include "base/random.h"
#include "capture_flow.h"
#include "image/pending_image.h"
#include "program/cli.h"
#include "program/image_store.h"
#include "program/output.h"
#include "program/stop.h"
#include "quiesce/quiescence.h"
#include "shapes/tag_words.h"

namespace ashlar {
namespace {

struct Options {
  std::string name;
  std::string description;
  std::string root_device;
  std::vector<std::string> devices;
  std::vector<std::string> tags;
  std::vector<std::string> freeze;
  bool live = false;
  std::string architecture = "x86_64";
  std::string boot_mode = "legacy-bios";
};

// A device of the image and its source.
struct Disk {
  std::string device;
  std::string path;
  std::unique_ptr<FileLock> lock;  // of the raw file of a volume
  std::unique_ptr<Source> source;
  std::optional<SnapshotRecord> parent;
  Consistency consistency = Consistency::kQuiescent;
};

Result<std::vector<Disk>> disks_of(const Options& options) {
  std::vector<Disk> disks;
  for (const std::string& word : options.devices) {
    const std::size_t equals = word.find('=');
    if (equals == std::string::npos || equals == 0 || equals + 1 == word.size())
      return invalid(fmt::format("--device: '{}' is not DEVICE=SOURCE", word));
    Disk& disk = disks.emplace_back();
    disk.device = word.substr(0, equals);
    disk.path = word.substr(equals + 1);
    if (disk.path == "-") return invalid("--device: standard input is no disk of an image");
  }
  return disks;
}

// All but the snapshots, which are still to be made.
Result<ImageRecord> image_of(const Options& options, const std::vector<Disk>& disks) {
  ImageRecord image;
  image.id = ImageId{random_u64()};
  image.name = options.name;
  image.description = options.description;
  image.created = UtcTime::now();
  image.architecture = TRY(parse_architecture(options.architecture));
  image.boot_mode = TRY(parse_boot_mode(options.boot_mode));
  image.tags = TRY(parse_tags(options.tags));
  for (const Disk& disk : disks) {
    ImageDevice& device = image.devices.emplace_back();
    device.name = disk.device;
    const ByteCount size = disk.source ? disk.source->size().value_or(ByteCount{0}) : ByteCount{1};
    device.content = {SnapshotId{random_u64()}, {}, size};
    device.size = size;
  }
  image.root_device = options.root_device;
  if (image.root_device.empty() && !image.devices.empty()) image.root_device = image.devices.front().name;
  std::ranges::sort(image.devices, {}, &ImageDevice::name);
  return image;
}

// All that can be told without the store and the sources is a usage error.
Status check(const Options& options) {
  if (options.live && !options.freeze.empty()) return invalid("--live and --freeze exclude each other");
  ImageRecord image = TRY(image_of(options, TRY(disks_of(options))));
  image.owner = AccountId{1};
  return check_limits(image);
}

// Who else writes to an NBD export is not known here.
ImageConsistency consistency_of(const std::vector<Disk>& disks) {
  const auto has = [&](Consistency wanted) {
    return std::ranges::any_of(disks, [&](const Disk& disk) { return disk.consistency == wanted; });
  };
  if (has(Consistency::kLive)) return ImageConsistency::kLive;
  const auto is_nbd = [](const Disk& disk) { return disk.source->type() == SourceType::kNbd; };
  if (std::ranges::any_of(disks, is_nbd)) return ImageConsistency::kSeparate;
  return has(Consistency::kFrozen) ? ImageConsistency::kFrozen : ImageConsistency::kStopped;
}

Status open_sources(Repo& repo, const Options& options, std::vector<Disk>& disks) {
  std::vector<SourceUse> uses;
  for (Disk& disk : disks) {
    disk.lock = TRY(hold_raw_file(repo, disk.path));
    disk.source = TRY(open_source(disk.path, {}));
    disk.parent = TRY(newest_of_source(repo, *disk.source));
    uses.push_back({disk.source.get(), disk.path});
  }
  const Consistencies found = TRY(check_quiescence(uses, options.freeze, options.live));
  for (std::size_t i = 0; i < disks.size(); ++i) disks[i].consistency = found.of_sources[i];
  for (const std::string& mount_point : found.unused)
    print_warning(fmt::format("--freeze {}: no device is mounted there, and none lies there", mount_point));
  return {};
}

// Returns a clone of the source; null where there is none, and for a file that is written through a file
// system that is frozen: making a clone would wait for the thaw.
Result<std::unique_ptr<Source>> clone_of(const Disk& disk, const std::vector<std::string>& freeze) {
  if (disk.source->type() != SourceType::kFile) return std::unique_ptr<Source>();
  for (const std::string& mount_point : freeze) {
    if (TRY(writes_through(disk.path, mount_point))) return std::unique_ptr<Source>();
  }
  auto clone = disk.source->clone();
  if (is(clone, ErrorCode::kUnsupported)) return std::unique_ptr<Source>();
  return clone;
}

// Files that can be cloned are read as they are now, however long that takes. Whether all sources are.
Result<bool> clone_files(std::vector<Disk>& disks, const std::vector<std::string>& freeze) {
  bool all = true;
  for (Disk& disk : disks) {
    auto clone = TRY(clone_of(disk, freeze));
    all = all && clone;
    if (clone) disk.source = std::move(clone);
  }
  return all;
}

// On a thread of its own: should it wait for the thaw all the same, a kill ends the main thread, and the
// guardians see that.
Result<bool> clone_files_aside(std::vector<Disk>& disks, const std::vector<std::string>& freeze) {
  Result<bool> cloned = false;
  std::jthread([&] { cloned = clone_files(disks, freeze); }).join();
  return cloned;
}

Status capture_disks(const Globals& globals, Repo& repo, const ImageRecord& image, std::vector<Disk>& disks,
                     const Stop& stop) {
  for (Disk& disk : disks) {
    const auto mapped = std::ranges::find(image.devices, disk.device, &ImageDevice::name);
    CaptureOptions how;
    how.id = mapped->content.snapshot;
    how.parent = disk.parent;
    how.consistency = disk.consistency;
    how.name = image.name + " " + disk.device;
    how.description = "of " + disk.path + " for " + image.id.text();
    const CaptureReport report =
        TRY(capture_with_progress(globals, "image capture", repo, *disk.source, std::move(how), true, stop));
    for (const std::string& warning : report.warnings) print_warning(warning);
  }
  return {};
}

// Writers are held still until the last disk is captured; or until all are cloned, which takes a moment. The
// guardians that thaw if we die are forks: before the first thread.
Status capture_still(const Globals& globals, const Options& options, Repo& repo, const ImageRecord& image,
                     std::vector<Disk>& disks, Stop& stop) {
  Frozen frozen = TRY(Frozen::freeze(options.freeze, repo.address().directory));
  TRY(stop.watch());
  if (!frozen.is_empty() && TRY(clone_files_aside(disks, options.freeze))) TRY(frozen.thaw());
  TRY(capture_disks(globals, repo, image, disks, stop));
  return frozen.thaw();
}

Result<ImageRecord> capture_image(const Globals& globals, const Options& options) {
  Stop stop;
  ImageStore store = TRY(ImageStore::open(globals));
  Repo& repo = store.repo();
  std::vector<Disk> disks = TRY(disks_of(options));
  TRY(open_sources(repo, options, disks));
  ImageRecord image = TRY(image_of(options, disks));
  image.store = repo.config().id;
  image.owner = store.account();
  image.consistency = consistency_of(disks);
  const auto pending =
      TRY(PendingImage::begin(repo.objects(), repo.config().id, PendingImage::Snapshots::kGoToBin));
  TRY(pending->publish(std::move(image)));
  TRY(capture_still(globals, options, repo, pending->record(), disks, stop));
  return pending->keep();
}

Result<ExitCode> run(const Globals& globals, const Options& options) {
  const ImageRecord made = TRY(capture_image(globals, options));
  globals.json ? print_json({{"ImageId", made.id.text()}}) : print(made.id.text() + "\n");
  return ExitCode::kDone;
}

}  // namespace

void add_image_capture(Cli& cli) {
  const auto options = std::make_shared<Options>();
  Verb verb = cli.add_verb(
      "image capture", "Capture the disks of a host together as an image, and print its id",
      "  ashlar image capture --name db-host --device /dev/sda=/dev/nvme0n1 --device /dev/sdb=/dev/nvme1n1 "
      "--freeze / --freeze /srv/db");
  verb.text("--name", "NAME", options->name, "3 to 128 characters; each account has a name once");
  verb.texts("--device", "DEVICE=SOURCE", options->devices,
             "What a device of the image is captured from: a disk, a disk image or an NBD URI; may be given "
             "more than once");
  verb.text("--root-device", "DEVICE", options->root_device, "The one that is booted from [the first]");
  verb.texts("--freeze", "DIRECTORY", options->freeze,
             "Freeze this mounted file system until all is captured; may be given more than once");
  verb.flag("--live", options->live, "Capture although sources are mounted and may be written to meanwhile");
  verb.text("--description", "TEXT", options->description, "A description");
  verb.texts("--tag", "KEY=VALUE", options->tags, "A tag; may be given more than once");
  verb.text("--architecture", "NAME", options->architecture, "As for 'image create' [x86_64]");
  verb.text("--boot-mode", "MODE", options->boot_mode, "As for 'image create' [legacy-bios]");
  verb.check([options] { return check(*options); });
  cli.on_run(Needs::kStore, [options](const Globals& globals) { return run(globals, *options); });
}

}  // namespace ashlar
