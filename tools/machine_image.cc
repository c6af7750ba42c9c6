// Images of machines: MachineHost::make_image().
#include <fmt/format.h>

#include <algorithm>

#include "base/random.h"
#include "catalog/images.h"
#include "catalog/sessions.h"
#include "image/register.h"
#include "machine/background_process.h"
#include "machine_host.h"

namespace ashlar {
namespace {

// The mapping of a machine's device. Volumes become snapshots whose ids are known beforehand.
Result<ImageDevice> mapping_of(const InstanceDevice& device, const VolumeCatalog& volumes,
                               const ImageRecord* original, std::uint32_t& ephemerals) {
  ImageDevice mapped;
  const ImageDevice* before = nullptr;
  if (original) {
    const auto found = std::ranges::find(original->devices, device.name, &ImageDevice::name);
    if (found != original->devices.end()) before = &*found;
  }
  if (!device.file.empty()) {
    if (before && before->kind == ImageDevice::Kind::kSnapshot)
      return unsupported(device.name +
                         " is a file that is lost with the machine: its image can't be made from it");
    mapped.name = device.name;
    mapped.kind = ImageDevice::Kind::kEphemeral;
    mapped.ephemeral = ephemerals++;
    mapped.size = before ? before->size : kDefaultEphemeralSize;
    return mapped;
  }
  if (before && before->kind == ImageDevice::Kind::kSnapshot) mapped = *before;
  mapped.name = device.name;
  mapped.content = {};
  mapped.content.snapshot = SnapshotId{random_u64()};
  mapped.size = TRY(volumes.get(device.volume)).size;
  mapped.content.size = mapped.size;
  mapped.delete_on_termination = device.delete_on_termination;
  return mapped;
}

}  // namespace

Status MachineHost::shut_down(InstanceId id, double seconds) {
  TRY(begin_stop(id, false));
  const InstanceRecord record = TRY(instances_.load(id));
  if (record.process) {
    const auto process = RunningProcess::find(*record.process);
    if (process.ok() && !process.value().wait(seconds)) {
      const auto lock = TRY(instances_.lock(id));
      InstanceRecord again = TRY(instances_.load(id));
      if (again.wish == InstanceWish::kStopped) {
        again.wish = InstanceWish::kRunning;
        TRY(instances_.save(again));
      }
      return busy(fmt::format(
          "{} did not switch itself off within {:.0f} s, and goes on: use --no-reboot, or stop it "
          "first",
          id.text(), seconds));
    }
  }
  return finish_stop(id, 0);
}

Result<SnapshotId> MachineHost::capture_file(const std::string& path, const std::stop_token& stop) {
  Repo& repo = volumes_->repo();
  const auto source = TRY(open_source(path, {}));
  CaptureOptions options;
  options.description = "boots an image";
  const CaptureParts parts = {repo.config(),         repo.objects(),     *TRY(repo.index()),
                              *TRY(repo.segments()), *TRY(repo.nodes()), repo.snapshots()};
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
  std::uint32_t ephemerals = 0;
  for (const InstanceDevice& device : record.devices)
    image.devices.push_back(
        TRY(mapping_of(device, volumes_->catalog(), original ? &*original : nullptr, ephemerals)));
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
  image.state = ImageState::kPending;
  image.state_reason.clear();
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

Result<ImageRecord> MachineHost::make_image(InstanceId id, const ImageWish& wish,
                                            const std::stop_token& stop) {
  const InstanceState before = TRY(instances_.state_of(TRY(instances_.load(id))));
  if (before != InstanceState::kRunning && before != InstanceState::kStopped)
    return busy(fmt::format("{} is {}: try again when it is running or stopped", id.text(),
                            instance_state_name(before)));
  const bool was_running = before == InstanceState::kRunning;
  if (was_running && wish.reboot) TRY(shut_down(id, wish.seconds));
  const auto lock = TRY(instances_.lock(id));
  InstanceRecord record = TRY(instances_.load(id));
  const bool is_running = TRY(instances_.state_of(record)) == InstanceState::kRunning;
  auto made = [&]() -> Result<ImageRecord> {
    Repo& repo = volumes_->repo();
    ImageCatalog images(repo.objects());
    ImageRecord image = TRY(image_of(record, wish));
    image.consistency = is_running ? ImageConsistency::kCrashConsistent : ImageConsistency::kStopped;
    const auto session = TRY(Session::begin(repo.objects(), repo.config().id));
    image.session = session->id();
    image.boot = {};
    TRY(images.publish(image));
    const auto make = [&]() -> Status {
      TRY(make_snapshots(record, image, is_running, stop));
      ImageBoot boot;
      if (!record.kernel.empty()) {
        boot.kernel.emplace().snapshot = TRY(capture_file(record.kernel, stop));
        if (!record.initrd.empty()) boot.ramdisk.emplace().snapshot = TRY(capture_file(record.initrd, stop));
        boot.command_line = record.append;
      }
      image = TRY(images.update(image.id, [&](ImageRecord& now) -> Status {
        if (now.state != ImageState::kPending)
          return busy(now.id.text() + " was failed by somebody else meanwhile");
        now.boot = boot;
        TRY(fill_contents(repo.snapshots(), now));
        now.state = ImageState::kAvailable;
        now.session = {};
        return {};
      }));
      return {};
    };
    Status done = make();
    if (done.ok()) return image;
    (void)images.remove(image.id).ok();
    return done.take_error();
  }();
  if (was_running && wish.reboot) {
    Status started = start_locked(record);
    if (!started.ok()) {
      std::string text = made.ok()
                             ? made.value().id.text() + " is made, but " + id.text() + " does not start again"
                             : made.error().text() + "; and " + id.text() + " does not start again";
      return started.take_error().with_context(text);
    }
  }
  return made;
}

}  // namespace ashlar
