// Images of machines: MachineHost::make_image().
#include <fmt/format.h>

#include <algorithm>

#include "base/random.h"
#include "catalog/images.h"
#include "image/pending_image.h"
#include "inspect/image_inspection.h"
#include "machine/machine.h"
#include "machine_host.h"
#include "process/background_process.h"

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

}  // namespace

// Volumes become snapshots whose ids are known beforehand; files stay ephemeral, and blank.
Result<ImageDevice> MachineHost::mapping_of(const InstanceRecord& record, const InstanceDevice& device,
                                            const std::optional<ImageRecord>& original,
                                            const std::vector<ImageDevice>& mapped_before) {
  const ImageDevice* before = find_device(original, device.name);
  ImageDevice mapped;
  if (!device.file.empty()) {
    if (device.name == record.devices.front().name)
      return unsupported(device.name +
                         " is a file that is lost with the machine: no image can be made of it");
    mapped.kind = ImageDevice::Kind::kEphemeral;
    mapped.ephemeral = free_ephemeral(mapped_before, before ? before->ephemeral : 0);
    mapped.size =
        ByteCount{TRY(posix_file_system().file_size(instances_.directory(record.id) + "/" + device.file))};
  } else {
    const VolumeRecord volume = TRY(volumes_->catalog().get(device.volume));
    if (volume.is_detached) return unsupported(device.volume.text() + " is detached from the store");
    if (before && before->kind == ImageDevice::Kind::kSnapshot) mapped = *before;
    mapped.size = volume.size;
    mapped.content = {SnapshotId{random_u64()}, {}, volume.size};
    mapped.delete_on_termination = device.delete_on_termination;
  }
  mapped.name = device.name;
  return mapped;
}

// Under the machine's lock, so that nobody starts it, or ends it, in between.
Status MachineHost::shut_down(InstanceRecord& record, double seconds) {
  record.wish = InstanceWish::kStopped;
  TRY(instances_.save(record));
  best_effort(press_power_button(instances_, record));  // one that has none does not switch itself off
  const auto process = RunningProcess::find(*record.process);
  if (!process.ok() || process.value().wait(seconds)) return end_machine(instances_, record);
  record.wish = InstanceWish::kRunning;
  TRY(instances_.save(record));
  return busy(
      fmt::format("{} did not switch itself off within {:.0f} s; it was asked to, and may still do so: use "
                  "--no-reboot, or stop it first",
                  record.id.text(), seconds));
}

Result<SnapshotId> MachineHost::capture_file(const std::string& path, const std::stop_token& stop) {
  Repo& repo = volumes_->repo();
  const auto source = TRY(open_source(path, {}));
  CaptureOptions options;
  options.description = "boots an image";
  const WriteParts parts = TRY(repo.write_parts());
  CaptureProgress progress;
  return TRY(capture(parts, *source, options, progress, stop).with_context(path)).record.id;
}

Result<ImageRecord> MachineHost::image_of(const InstanceRecord& record, const ImageWish& wish) {
  ImageRecord image;
  std::optional<ImageRecord> original;
  if (record.image.value != 0) {
    auto found = ImageCatalog(volumes_->repo().objects()).get(record.image);
    if (!found.ok() && found.error().code() != ErrorCode::kNotFound) return found.take_error();
    if (found.ok()) original = found.take();
  }
  if (original) image = *original;
  image.devices.clear();
  for (const InstanceDevice& device : record.devices)
    image.devices.push_back(TRY(mapping_of(record, device, original, image.devices)));
  image.root_device = image.devices.front().name;
  std::ranges::sort(image.devices, {}, &ImageDevice::name);
  image.id = ImageId{random_u64()};
  image.revision = 1;
  image.store = volumes_->repo().config().id;
  image.name = wish.name;
  image.description = wish.description;
  image.owner = wish.owner;
  image.created = UtcTime::now();
  image.root_device_type = RootDeviceType::kEbs;
  image.source_image = {};
  image.source_store = {};
  image.source_instance = record.id;
  image.deprecated.reset();
  image.is_public = false;
  image.shared_with.clear();
  image.signatures.clear();
  image.tags = wish.tags;
  return image;
}

// Of volumes that are served the server makes them, all of one instant; a machine that is off changes nothing
// meanwhile.
Status MachineHost::make_snapshots(const InstanceRecord& record, const ImageRecord& image, bool is_running,
                                   const std::stop_token& stop) {
  std::vector<HostServer::Wanted> wanted;
  for (const InstanceDevice& device : record.devices) {
    if (!device.file.empty()) continue;
    const auto mapped = std::ranges::find(image.devices, device.name, &ImageDevice::name);
    wanted.push_back({device.volume, mapped->content.snapshot, image.name + " " + device.name,
                      fmt::format("of {} for {}", record.id.text(), image.id.text())});
  }
  if (is_running) return server_.snapshot_together(wanted);
  for (const HostServer::Wanted& one : wanted) {
    TRY(server_.close(one.volume));
    CaptureOptions how;
    how.id = one.snapshot;
    how.name = one.name;
    how.description = one.description;
    CaptureProgress progress;
    const auto volume = TRY(volumes_->open_volume(one.volume));
    TRY(volumes_->snapshot(one.volume, *volume, how, progress, stop));
    TRY(volume->overlay().close());
  }
  return {};
}

// The store is opened anew: the server's snapshots lie in packs that this process has not heard of. They
// stay, for 'image inspect'.
Status MachineHost::require_clean(const ImageRecord& image, const std::stop_token& stop) {
  const std::unique_ptr<Repo> repo = TRY(volumes_->repo().open_again());
  Status clean = check_clean(TRY(inspect_devices(*repo, image.devices, stop)));
  if (clean.ok()) return {};
  std::string made;
  for (const SnapshotId id : snapshots_of(image)) made += (made.empty() ? "" : ", ") + id.text();
  return clean.error().with_text(
      fmt::format("{}; no image is made, its snapshots stay: {}", clean.error().text(), made));
}

// From pending to available.
Result<ImageRecord> MachineHost::complete(const InstanceRecord& record, PendingImage& pending,
                                          const ImageWish& wish, bool is_running,
                                          const std::stop_token& stop) {
  TRY(make_snapshots(record, pending.record(), is_running, stop));
  if (wish.must_be_clean) TRY(require_clean(pending.record(), stop));
  ImageBoot boot;
  if (!record.kernel.empty()) {
    boot.kernel.emplace().snapshot = TRY(capture_file(record.kernel, stop));
    if (!record.initrd.empty()) boot.ramdisk.emplace().snapshot = TRY(capture_file(record.initrd, stop));
    boot.command_line = record.append;
  }
  pending.boot_with(std::move(boot));
  return pending.keep();
}

// The pending image comes first: whatever would refuse it does so before the guest is shut down. The lock is
// held until the machine runs again.
Result<ImageRecord> MachineHost::make_image(InstanceId id, const ImageWish& wish,
                                            const std::stop_token& stop) {
  const auto lock = TRY(instances_.lock(id));
  InstanceRecord record = TRY(instances_.load(id));
  const InstanceState state = TRY(instances_.state_of(record));
  if (state != InstanceState::kRunning && state != InstanceState::kStopped)
    return busy(fmt::format("{} is {}: try again when it is running or stopped", id.text(),
                            instance_state_name(state)));
  const bool was_running = state == InstanceState::kRunning;
  Repo& repo = volumes_->repo();
  ImageRecord image = TRY(image_of(record, wish));
  image.consistency =
      was_running && !wish.reboot ? ImageConsistency::kCrashConsistent : ImageConsistency::kStopped;
  image.boot = {};
  auto pending = TRY(PendingImage::begin(repo.objects(), repo.config().id, PendingImage::Snapshots::kStay));
  TRY(pending->publish(std::move(image)));
  Status off = was_running && wish.reboot ? shut_down(record, wish.seconds) : Status();
  auto made = off.ok() ? complete(record, *pending, wish, was_running && !wish.reboot, stop)
                       : Result<ImageRecord>(off.take_error());
  pending.reset();
  if (!was_running || TRY(instances_.state_of(record)) != InstanceState::kStopped) return made;
  Status started = start_locked(record);
  if (started.ok()) return made;
  return started.take_error().with_context(
      fmt::format("{}; {} does not start again",
                  made.ok() ? made.value().id.text() + " is made" : made.error().text(), id.text()));
}

}  // namespace ashlar
