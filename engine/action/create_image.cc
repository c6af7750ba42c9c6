#include "action/create_image.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "base/random.h"
#include "catalog/images.h"
#include "host/volume_snapshots.h"
#include "image/pending_image.h"
#include "image/register.h"
#include "inspect/image_inspection.h"

namespace ashlar {
namespace {

const ImageDevice* find_device(const std::optional<ImageRecord>& image, const std::string& name) {
  if (!image) return nullptr;
  const auto found = std::ranges::find(image->devices, name, &ImageDevice::name);
  return found == image->devices.end() ? nullptr : &*found;
}

std::uint32_t free_ephemeral(const std::vector<ImageDevice>& devices, std::uint32_t wanted) {
  const auto is_taken = [&](std::uint32_t number) {
    return std::ranges::any_of(devices, [&](const ImageDevice& device) {
      return device.kind == ImageDevice::Kind::kEphemeral && device.ephemeral == number;
    });
  };
  while (is_taken(wanted)) ++wanted;
  return wanted;
}

// Maps one device. A volume becomes a snapshot whose id is known beforehand; a file stays ephemeral, and
// blank.
Result<ImageDevice> mapping_of(Host& host, const InstanceRecord& record, const InstanceDevice& device,
                               const std::optional<ImageRecord>& original,
                               const std::vector<ImageDevice>& mapped_before) {
  const ImageDevice* before = find_device(original, device.name);
  ImageDevice mapped;
  if (!device.file.empty()) {
    if (device.name == record.devices.front().name)
      return unsupported(device.name +
                         " is a file that is lost with the machine: no image can be made of it");
    const std::string path = host.machines().instances().directory(record.id) + "/" + device.file;
    mapped.kind = ImageDevice::Kind::kEphemeral;
    mapped.ephemeral = free_ephemeral(mapped_before, before ? before->ephemeral : 0);
    mapped.size = ByteCount{TRY(host.repo().host().files().file_size(path))};
  } else {
    const VolumeRecord volume = TRY(host.volumes().catalog().get(device.volume));
    if (volume.is_detached) return unsupported(device.volume.text() + " is detached from the store");
    if (before && before->kind == ImageDevice::Kind::kSnapshot) mapped = *before;
    mapped.size = volume.size;
    mapped.content = {SnapshotId{random_u64()}, {}, volume.size};
    mapped.delete_on_termination = device.delete_on_termination;
  }
  mapped.name = device.name;
  return mapped;
}

Result<std::optional<ImageRecord>> original_of(Host& host, const InstanceRecord& record) {
  if (record.image.value == 0) return std::optional<ImageRecord>();
  auto found = ImageCatalog(host.repo().objects()).get(record.image);
  if (is(found, ErrorCode::kNotFound)) return std::optional<ImageRecord>();
  return std::optional(TRY(std::move(found)));
}

Result<ImageRecord> image_of(Host& host, const Caller& caller, const InstanceRecord& record,
                             const CreateImageRequest& request) {
  const std::optional<ImageRecord> original = TRY(original_of(host, record));
  ImageRecord image;
  if (original) image = *original;
  image.devices.clear();
  for (const InstanceDevice& device : record.devices)
    image.devices.push_back(TRY(mapping_of(host, record, device, original, image.devices)));
  image.root_device = image.devices.front().name;
  std::ranges::sort(image.devices, {}, &ImageDevice::name);
  image.id = ImageId{random_u64()};
  image.revision = 1;
  image.store = host.repo().config().id;
  image.name = request.name;
  image.description = request.description;
  image.owner = caller.account;
  image.created = UtcTime::now();
  image.root_device_type = RootDeviceType::kEbs;
  image.source_image = {};
  image.source_store = {};
  image.source_instance = record.id;
  image.deprecated.reset();
  image.is_public = false;
  image.shared_with.clear();
  image.signatures.clear();
  image.tags = request.tags;
  image.boot = {};
  return image;
}

// Makes the snapshots of the volumes. The server makes those of volumes that it serves, all of one instant; a
// machine that is off changes nothing meanwhile.
Status make_snapshots(Host& host, const Caller& caller, const InstanceRecord& record,
                      const ImageRecord& image, bool is_running) {
  SnapshotTogether wanted;
  for (const InstanceDevice& device : record.devices) {
    if (!device.file.empty()) continue;
    const auto mapped = std::ranges::find(image.devices, device.name, &ImageDevice::name);
    wanted.volumes.push_back({device.volume, mapped->content.snapshot, image.name + " " + device.name,
                              fmt::format("of {} for {}", record.id.text(), image.id.text())});
  }
  if (is_running) return host.server().snapshot_together(wanted);
  for (const SnapshotTogether::One& one : wanted.volumes) {
    TRY(host.server().close(one.volume));
    const auto volume = TRY(host.volumes().open(one.volume));
    OpenVolumeToCapture open{one.volume, volume.get(), {}};
    open.options.id = one.snapshot;
    open.options.name = one.name;
    open.options.description = one.description;
    CaptureProgress progress;
    TRY(snapshot_one(host.repo(), host.volumes(), std::move(open), progress, caller.stop));
    TRY(volume->overlay().close());
  }
  return {};
}

// Opens the store anew, because the snapshots of a served volume lie in packs of the server.
Status require_clean(Host& host, const Caller& caller, const ImageRecord& image) {
  const std::unique_ptr<Repo> repo = TRY(host.repo().open_again());
  const Status fine = check_clean(TRY(inspect_devices(*repo, image.devices, caller.stop)));
  if (fine.ok()) return {};
  std::string made;
  for (const SnapshotId id : snapshots_of(image)) made += (made.empty() ? "" : ", ") + id.text();
  return fine.error().with_text(
      fmt::format("{}; no image is made, its snapshots stay: {}", fine.error().text(), made));
}

Result<SnapshotId> capture_file(Repo& repo, const Caller& caller, const std::string& path) {
  const auto source = TRY(open_source(path, {}));
  CaptureOptions options;
  options.description = "boots an image";
  const WriteParts parts = TRY(repo.write_parts());
  CaptureProgress progress;
  return TRY(capture(parts, *source, options, progress, caller.stop).with_context(path)).record.id;
}

// Takes a pending image to an available one.
Result<ImageRecord> complete(Host& host, const Caller& caller, const InstanceRecord& record,
                             PendingImage& pending, const CreateImageRequest& request, bool is_running) {
  Repo& repo = host.repo();
  TRY(make_snapshots(host, caller, record, pending.record(), is_running));
  if (request.must_be_clean) TRY(require_clean(host, caller, pending.record()));
  ImageBoot boot;
  if (!record.kernel.empty()) {
    const std::string directory = host.machines().instances().directory(record.id);
    const auto captured = [&](const std::string& file) {
      return capture_file(repo, caller, boot_file_path(directory, file));
    };
    boot.kernel.emplace().snapshot = TRY(captured(record.kernel));
    if (!record.initrd.empty()) boot.ramdisk.emplace().snapshot = TRY(captured(record.initrd));
    boot.command_line = record.append;
  }
  pending.boot_with(std::move(boot));
  return pending.keep();
}

// The pending image comes first: an error that would refuse it is found before the guest is shut down.
Result<ImageRecord> make_image(Host& host, const Caller& caller, InstanceRecord& record,
                               const CreateImageRequest& request, bool was_running) {
  Repo& repo = host.repo();
  ImageCatalog images(repo.objects());
  // The name of an image whose maker is gone is free.
  const auto failed = fail_abandoned_images(images, repo.objects());
  if (!failed.ok()) caller.notices.warn(failed.error().text());
  const bool goes_on = was_running && !request.reboot;
  ImageRecord image = TRY(image_of(host, caller, record, request));
  image.consistency = goes_on ? ImageConsistency::kCrashConsistent : ImageConsistency::kStopped;
  const auto pending =
      TRY(PendingImage::begin(repo.objects(), repo.config().id, PendingImage::Snapshots::kStay));
  TRY(pending->publish(std::move(image)));
  if (was_running && request.reboot) TRY(host.machines().shut_down_locked(record, request.seconds));
  return complete(host, caller, record, *pending, request, goes_on);
}

}  // namespace

// The machine's lock is held until it runs again, so that no other process starts or ends it in between.
Result<ImageRecord> create_image(Host& host, const Caller& caller, const CreateImageRequest& request) {
  Instances& instances = host.machines().instances();
  const auto lock = TRY(instances.lock(request.instance));
  InstanceRecord record = TRY(instances.load(request.instance));
  const InstanceState state = TRY(instances.state_of(record));
  if (state != InstanceState::kRunning && state != InstanceState::kStopped)
    return busy(fmt::format("{} is {}: try again when it is running or stopped", record.id.text(),
                            instance_state_name(state)));
  const bool was_running = state == InstanceState::kRunning;
  auto made = make_image(host, caller, record, request, was_running);
  // A guest that was not asked to switch itself off, and did, stays off.
  const bool may_be_off = was_running && request.reboot;
  if (!may_be_off || TRY(instances.state_of(record)) != InstanceState::kStopped) return made;
  const Status started = host.machines().start_locked(record);
  if (started.ok()) return made;
  return started.error().with_context(
      fmt::format("{}; {} does not start again",
                  made.ok() ? made.value().id.text() + " is made" : made.error().text(), record.id.text()));
}

}  // namespace ashlar
