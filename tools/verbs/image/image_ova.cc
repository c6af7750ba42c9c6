// ashlar image import-ova: a machine that another program wrote down becomes an image.
//
//   tar ─▶ descriptor ─▶ digests of the manifest ─▶ headers of all disks ─▶ a snapshot each ─▶ image
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "base/clock.h"
#include "base/units.h"
#include "capture_flow.h"
#include "catalog/settings.h"
#include "disk/ova.h"
#include "disk/ovf.h"
#include "foreign_disk.h"
#include "image/deletion.h"
#include "image/register.h"
#include "image/signing.h"
#include "program/cli.h"
#include "program/image_store.h"
#include "program/output.h"
#include "shapes/tag_words.h"

namespace ashlar {
namespace {

struct Options {
  std::string file;
  std::string name;
  std::string description;
  std::string architecture = "x86_64";
  std::vector<std::string> tags;
};

// A disk of the machine, ready to be captured.
struct MachineDisk {
  std::string device;  // "/dev/sda"
  OvfDisk described;
  std::unique_ptr<ForeignDisk> disk;
};

Status check(const Options& options) {
  TRY(parse_architecture(options.architecture));
  TRY(check_tags(TRY(parse_tags(options.tags))));
  return options.name.empty() ? Status() : check_image_name(options.name);
}

struct Machine {
  OvfMachine described;
  Ova ova;
  bool has_manifest = false;
};

// Reads the OVA's description of its machine, and checks that every file that it names exists and matches its
// manifest.
Result<Machine> read_machine(const std::string& path, const std::stop_token& stop) {
  const auto file = TRY(posix_file_system().open(path, ReadMode::kCached));
  Machine machine;
  machine.ova = TRY(read_ova(*file));
  const OvaMember& descriptor = machine.ova.members.front();
  machine.described = TRY(parse_ovf(TRY(read_member(*file, descriptor, kMaxOvfBytes))));
  std::vector<std::string> needed = {descriptor.name};
  for (const OvfDisk& disk : machine.described.disks) needed.push_back(TRY(machine.ova.find(disk.file)).name);
  machine.has_manifest = TRY(verify_manifest(*file, machine.ova, needed, stop));
  return machine;
}

// A person may have given the machine more room than its disk has; less would cut something off.
Status check_capacity(const MachineDisk& disk) {
  const ByteCount size = disk.disk->source().size().value_or(ByteCount{0});
  if (size <= disk.described.capacity) return {};
  return invalid(fmt::format("has a disk '{}' of {} bytes, which is said to have {}", disk.described.file,
                             size.value, disk.described.capacity.value));
}

Result<std::vector<MachineDisk>> open_disks(const std::shared_ptr<const HeldFile>& file,
                                            const Machine& machine, const Stop& stop) {
  std::vector<MachineDisk> disks;
  disks.reserve(machine.described.disks.size());
  for (const OvfDisk& described : machine.described.disks) {
    MachineDisk disk;
    disk.device = std::string("/dev/sd") + static_cast<char>('a' + disks.size());
    disk.described = described;
    disk.disk =
        TRY(ForeignDisk::open(file, DiskFormat::kVmdk, TRY(machine.ova.find(described.file)), stop.token()));
    Status fits = check_capacity(disk);
    if (!fits.ok()) return about(file->name(), fits.take_error());
    disks.push_back(std::move(disk));
  }
  return disks;
}

Result<ImageRecord> image_of(ImageStore& store, const Options& options, const OvfMachine& machine) {
  ImageRecord image;
  image.store = store.repo().config().id;
  image.owner = store.account();
  image.name = options.name.empty() ? machine.name : options.name;
  Status named = check_image_name(image.name);
  if (!named.ok())
    return named.take_error().with_context("give --name: the machine's own is none for an image");
  image.description = options.description;
  if (image.description.empty() && machine.annotation.size() <= kMaxImageDescriptionBytes)
    image.description = machine.annotation;
  image.architecture = TRY(parse_architecture(options.architecture));
  image.boot_mode = machine.is_uefi ? BootMode::kUefi : BootMode::kLegacyBios;
  image.root_device = "/dev/sda";
  image.consistency = ImageConsistency::kStopped;
  image.tags = TRY(parse_tags(options.tags));
  return image;
}

// Snapshots of disks, which go into the bin unless the image that needs them is made. Snapshots that are in
// use by then stay: a volume that was made of one, or the image itself, when registering it failed behind
// its publication.
class NewSnapshots {
 public:
  explicit NewSnapshots(ObjectStore& objects) : objects_(objects) {}
  ~NewSnapshots() {
    for (const SnapshotId id : ids_) best_effort(delete_snapshot(objects_, id));
  }
  NewSnapshots(const NewSnapshots&) = delete;
  NewSnapshots& operator=(const NewSnapshots&) = delete;
  void add(SnapshotId id) { ids_.push_back(id); }
  void keep() { ids_.clear(); }

 private:
  ObjectStore& objects_;
  std::vector<SnapshotId> ids_;
};

Result<ImageDevice> import_disk(const Globals& globals, Repo& repo, const Options& options,
                                const ImageRecord& image, const MachineDisk& disk, const Stop& stop) {
  Source& source = disk.disk->source();
  CaptureOptions how;
  how.parent = TRY(newest_of_source(repo, source));
  how.name = image.name + " " + disk.device;
  how.description =
      fmt::format("{} of {}", disk.described.file, std::filesystem::path(options.file).filename().string());
  auto report = capture_with_progress(globals, "image import-ova", repo, source, std::move(how), true, stop);
  if (!report.ok()) return disk.disk->explained(report.take_error());
  ImageDevice device;
  device.name = disk.device;
  device.content.snapshot = report.value().record.id;
  device.size = std::max(disk.described.capacity, report.value().record.size);
  return device;
}

Result<ImageRecord> import_machine(const Globals& globals, ImageStore& store, const Options& options,
                                   const HeldFile& file, ImageRecord image,
                                   const std::vector<MachineDisk>& disks, const Stop& stop) {
  Repo& repo = store.repo();
  NewSnapshots made(repo.objects());
  image.devices.reserve(disks.size());
  for (const MachineDisk& disk : disks) {
    image.devices.push_back(TRY(import_disk(globals, repo, options, image, disk, stop)));
    made.add(image.devices.back().content.snapshot);
  }
  TRY(file.check_unchanged());
  ImageRecord registered = TRY(register_image(store.catalog(), repo.snapshots(), std::move(image)));
  made.keep();
  return registered;
}

void print_image(const Globals& globals, const ImageRecord& image, double seconds) {
  if (!globals.json) {
    print(image.id.text() + "\n");
    print_note(fmt::format("{} disks in {}", image.devices.size(), duration_text(seconds)));
    return;
  }
  Json snapshots = Json::array();
  for (const ImageDevice& device : image.devices) snapshots.push_back(device.content.snapshot.text());
  print_json({{"ImageId", image.id.text()}, {"Snapshots", snapshots}, {"seconds", seconds}});
}

Result<ExitCode> run(const Globals& globals, const Options& options) {
  Stop stop;
  const double started = monotonic_seconds();
  ImageStore store = TRY(ImageStore::open(globals));
  TRY(stop.watch());
  const auto file = TRY(HeldFile::open(options.file));
  auto machine = read_machine(file->path(), stop.token());
  if (!machine.ok()) return about(options.file, machine.take_error());
  ImageRecord image = TRY(image_of(store, options, machine.value().described));
  TRY(store.catalog().look_for_namesake(image));
  if (const auto warning = TRY(check_trust(image, TRY(get_settings(store.repo().objects())))))
    print_warning(*warning);
  const auto disks = TRY(open_disks(file, machine.value(), stop));
  image = TRY(import_machine(globals, store, options, *file, std::move(image), disks, stop));
  for (const std::string& other : machine.value().described.left_out)
    print_warning(fmt::format("'{}' is left out: it is no disk of the machine", other));
  if (!machine.value().has_manifest)
    print_warning(options.file + " has no manifest: damage within its disks may go unseen");
  print_image(globals, image, monotonic_seconds() - started);
  return ExitCode::kDone;
}

}  // namespace

void add_image_ova(Cli& cli) {
  const auto options = std::make_shared<Options>();
  Verb verb = cli.add_verb("image import-ova", "Take a machine in that another program exported as OVA",
                           "  ashlar image import-ova web.ova --name web-1.5");
  verb.positional("FILE", "FILE", options->file, "The OVA");
  verb.text("--name", "TEXT", options->name, "Its name here [the machine's]");
  verb.text("--description", "TEXT", options->description, "A description [the machine's]");
  verb.text("--architecture", "NAME", options->architecture,
            "i386, x86_64, arm64, riscv64, ppc64le, s390x [x86_64]");
  verb.texts("--tag", "KEY=VALUE", options->tags, "A tag of the image; may be given more than once");
  verb.check([options] { return check(*options); });
  cli.on_run(Needs::kStore, [options](const Globals& globals) { return run(globals, *options); });
}

}  // namespace ashlar
