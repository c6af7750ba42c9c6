// import_ova(): a machine that another program exported as OVA becomes an image.
//
//   tar ─▶ descriptor ─▶ digests of the manifest ─▶ headers of all disks ─▶ a snapshot each ─▶ image
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "action/account_images.h"
#include "action/capture_run.h"
#include "action/disks.h"
#include "base/units.h"
#include "catalog/settings.h"
#include "disk/foreign_disk.h"
#include "disk/ova.h"
#include "disk/ovf.h"
#include "document/image_names.h"
#include "image/deletion.h"
#include "image/register.h"
#include "image/signing.h"

namespace ashlar {
namespace {

// A disk of the machine, ready to be captured.
struct MachineDisk {
  std::string device;  // "/dev/sda"
  OvfDisk described;
  std::unique_ptr<ForeignDisk> disk;
};

struct Machine {
  OvfMachine described;
  Ova ova;
  bool has_manifest = false;
};

// Reads the OVA's description of the machine. Checks that all files that it names are there and match the
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

// The machine may have been given more room than its disk has; less room would cut data off.
Status check_capacity(const MachineDisk& disk) {
  const ByteCount size = disk.disk->source().size().value_or(ByteCount{0});
  if (size <= disk.described.capacity) return {};
  return invalid(fmt::format("has a disk '{}' of {} bytes, which is said to have {}", disk.described.file,
                             size.value, disk.described.capacity.value));
}

Result<std::vector<MachineDisk>> open_disks(const std::shared_ptr<const HeldFile>& file,
                                            const Machine& machine, const std::stop_token& stop) {
  std::vector<MachineDisk> disks;
  disks.reserve(machine.described.disks.size());
  for (const OvfDisk& described : machine.described.disks) {
    MachineDisk disk;
    disk.device = std::string("/dev/sd") + static_cast<char>('a' + disks.size());
    disk.described = described;
    disk.disk = TRY(ForeignDisk::open(file, DiskFormat::kVmdk, TRY(machine.ova.find(described.file)), stop));
    Status fits = check_capacity(disk);
    if (!fits.ok()) return with_file_name(file->name(), fits.take_error());
    disks.push_back(std::move(disk));
  }
  return disks;
}

Result<ImageRecord> image_of(Repo& repo, const Caller& caller, const ImportOva& request,
                             const OvfMachine& machine) {
  ImageRecord image;
  image.store = repo.config().id;
  image.owner = caller.account;
  image.name = request.name.empty() ? machine.name : request.name;
  const Status named = check_image_name(image.name);
  if (!named.ok()) return named.error().about(ErrorKind::kNameUnfit, image.name);
  image.description = request.description;
  if (image.description.empty() && machine.annotation.size() <= kMaxImageDescriptionBytes)
    image.description = machine.annotation;
  image.architecture = request.architecture;
  image.boot_mode = machine.is_uefi ? BootMode::kUefi : BootMode::kLegacyBios;
  image.root_device = "/dev/sda";
  image.consistency = ImageConsistency::kStopped;
  image.tags = request.tags;
  return image;
}

// Snapshots of disks, which go into the bin unless the image that needs them is made. A snapshot that is in
// use by then stays: a volume was made of it, or the image was published before its registration failed.
class NewSnapshots {
 public:
  explicit NewSnapshots(ObjectStore& objects) : objects_(objects) {}
  ~NewSnapshots() {
    for (const Status& deleted : delete_snapshots(objects_, ids_)) best_effort(deleted);
  }
  NewSnapshots(const NewSnapshots&) = delete;
  NewSnapshots& operator=(const NewSnapshots&) = delete;
  void add(SnapshotId id) { ids_.push_back(id); }
  void keep() { ids_.clear(); }

 private:
  ObjectStore& objects_;
  std::vector<SnapshotId> ids_;
};

Result<ImageDevice> capture_disk(Repo& repo, const Caller& caller, const ImportOva& request,
                                 const ImageRecord& image, const MachineDisk& disk) {
  Source& source = disk.disk->source();
  CaptureOptions how;
  how.parent = TRY(newest_of_source(repo, source, caller.notices));
  how.name = image.name + " " + disk.device;
  how.description =
      fmt::format("{} of {}", disk.described.file, std::filesystem::path(request.file).filename().string());
  auto report = run_capture(repo, caller, "image import-ova", source, std::move(how), ParentChoice::kGuessed);
  if (!report.ok()) return disk.disk->explained(report.take_error());
  ImageDevice device;
  device.name = disk.device;
  device.content.snapshot = report.value().record.id;
  device.size = std::max(disk.described.capacity, report.value().record.size);
  return device;
}

Result<ImageRecord> capture_machine(Repo& repo, const Caller& caller, const ImportOva& request,
                                    const HeldFile& file, ImageRecord image,
                                    const std::vector<MachineDisk>& disks) {
  NewSnapshots made(repo.objects());
  image.devices.reserve(disks.size());
  for (const MachineDisk& disk : disks) {
    image.devices.push_back(TRY(capture_disk(repo, caller, request, image, disk)));
    made.add(image.devices.back().content.snapshot);
  }
  TRY(file.check_unchanged());
  ImageCatalog images(repo.objects());
  ImageRecord registered = TRY(register_image(images, repo.snapshots(), std::move(image)));
  made.keep();
  return registered;
}

}  // namespace

Result<ImageRecord> import_ova(Repo& repo, const Caller& caller, const ImportOva& request) {
  AccountImages images = AccountImages::open(repo, caller);
  const auto file = TRY(HeldFile::open(request.file));
  auto machine = read_machine(file->path(), caller.stop);
  if (!machine.ok()) return with_file_name(request.file, machine.take_error());
  ImageRecord image = TRY(image_of(repo, caller, request, machine.value().described));
  TRY(images.catalog().look_for_namesake(image));
  if (const auto warning = TRY(check_trust(image, TRY(get_settings(repo.objects())))))
    caller.notices.warn(*warning);
  const auto disks = TRY(open_disks(file, machine.value(), caller.stop));
  image = TRY(capture_machine(repo, caller, request, *file, std::move(image), disks));
  for (const std::string& other : machine.value().described.left_out)
    caller.notices.warn(fmt::format("'{}' is left out: it is not a disk of the machine", other));
  if (!machine.value().has_manifest)
    caller.notices.warn(request.file + " has no manifest: damage within its disks may go unseen");
  return image;
}

}  // namespace ashlar
