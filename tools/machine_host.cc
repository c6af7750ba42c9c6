#include "machine_host.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>

#include "attachment.h"
#include "base/random.h"
#include "base/unique_fd.h"
#include "image/contents.h"
#include "machine/machine.h"
#include "process/background_process.h"
#include "program/store_option.h"
#include "restore/restore.h"

namespace ashlar {
namespace {

constexpr const char* kInstanceTag = "instance";
constexpr const char* kAcceleratorVariable = "ASHLAR_ACCEL";

std::string preferred_accelerator() {
  const char* value = std::getenv(kAcceleratorVariable);  // NOLINT(concurrency-mt-unsafe): nobody changes it
  return value ? value : "";
}

// Of a sparse file, made when it is missing.
Status resize_file(const std::string& path, ByteCount size) {
  const UniqueFd fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!fd.valid() || ::ftruncate(fd.get(), static_cast<off_t>(size.value)) != 0) return last_errno(path);
  return {};
}

}  // namespace

MachineHost::MachineHost(std::unique_ptr<VolumeHost> volumes)
    : volumes_(std::move(volumes)),
      instances_(posix_file_system(), volumes_->repo().host().instances()),
      server_(volumes_->repo()) {}

Result<std::unique_ptr<MachineHost>> MachineHost::open(const Globals& globals) {
  std::unique_ptr<VolumeHost> volumes = TRY(open_volume_host(globals));
  return std::unique_ptr<MachineHost>(new MachineHost(std::move(volumes)));
}

Status MachineHost::restore_file(const ImageContent& content, ByteCount size, const std::string& path) {
  Repo& repo = volumes_->repo();
  const SnapshotRecord snapshot = TRY(repo.snapshots().get(content.snapshot));
  const ReadParts parts = TRY(repo.read_parts());
  RestoreProgress progress;
  {
    const auto target = TRY(Target::open(path, snapshot.size, false));
    TRY(restore(parts, snapshot, *target, {}, progress, {}));
  }
  return resize_file(path, size);
}

Status MachineHost::make_devices(const MachineSpec& spec, InstanceRecord& record) {
  for (const ImageDevice& device : spec.devices) {
    const bool is_root = record.devices.empty();
    const std::string file = device_file(device.name);
    const std::string path = instances_.directory(record.id) + "/" + file;
    if (device.kind == ImageDevice::Kind::kEphemeral) {
      TRY(resize_file(path, device.size));
      record.devices.push_back({device.name, {}, true, file});
      continue;
    }
    TRY(check_content(device.content, volumes_->repo().snapshots()));
    if (is_root && spec.root_device_type == RootDeviceType::kInstanceStore) {
      TRY(restore_file(device.content, device.size, path).with_context(device.name));
      record.devices.push_back({device.name, {}, true, file});
      continue;
    }
    const VolumeRecord volume = TRY(volumes_->create({device.content.snapshot,
                                                      device.size,
                                                      spec.shape.name,
                                                      {{kInstanceTag, record.id.text()}},
                                                      spec.owner}));
    record.devices.push_back(
        {device.name, volume.id, device.delete_on_termination && !spec.keep_volumes, {}});
  }
  return {};
}

Status MachineHost::make_boot_files(const MachineSpec& spec, InstanceRecord& record) {
  if (!record.kernel.empty() || !spec.boot.kernel) return {};
  const auto make = [&](const ImageContent& content, const char* name, std::string& path) -> Status {
    TRY(check_content(content, volumes_->repo().snapshots()));
    const std::string whole = instances_.directory(record.id) + "/" + name;
    TRY(restore_file(content, content.size, whole).with_context(name));
    path = std::filesystem::absolute(whole).lexically_normal().native();
    return {};
  };
  TRY(make(*spec.boot.kernel, kKernelName, record.kernel));
  if (spec.boot.ramdisk) TRY(make(*spec.boot.ramdisk, kRamdiskName, record.initrd));
  if (record.append.empty()) record.append = spec.boot.command_line;
  return {};
}

// Until it is started its record says that it is to be terminated: a launch that is cut off leaves nothing
// that 'instances terminate' would not clear away.
Result<InstanceRecord> MachineHost::launch(const MachineSpec& spec) {
  InstanceRecord record = spec.shape;
  record.id = InstanceId{random_u64()};
  record.created = UtcTime::now();
  record.wish = InstanceWish::kTerminated;
  record.image = spec.image;
  record.snapshot = spec.devices.front().content.snapshot;
  TRY(volumes_->repo().host().make_folder(volumes_->repo().host().instances()));
  TRY(instances_.make(record.id));
  const auto lock = TRY(instances_.lock(record.id));
  TRY(instances_.begin_launch(record.id));
  Status started = make_devices(spec, record);
  if (started.ok()) started = make_boot_files(spec, record);
  if (started.ok()) started = instances_.save(record);
  if (started.ok()) started = start_locked(record);
  if (started.ok()) started = instances_.end_launch(record.id);
  if (started.ok()) return record;
  for (InstanceDevice& device : record.devices) device.delete_on_termination = true;
  Status undone;
  if (auto removed = remove_locked(record); !removed.ok()) undone = removed.take_error();
  if (undone.ok()) return started.take_error();
  return Error(started.error().code(),
               fmt::format("{}; and {} can't be cleared away: {}", started.error().text(), record.id.text(),
                           undone.error().text()));
}

Status MachineHost::start_locked(InstanceRecord& record) {
  std::vector<NbdExport> exports;
  std::vector<Attachments> held;  // until the record says who uses the volumes
  for (const InstanceDevice& device : record.devices) {
    if (!device.file.empty()) continue;
    TRY(volumes_->catalog().get(device.volume));
    held.push_back(TRY(hold_unattached(volumes_->repo().host(), device.volume)));
    exports.push_back(TRY(server_.open(device.volume)));
  }
  return start_machine(instances_, record, std::move(exports), preferred_accelerator());
}

Result<InstanceState> MachineHost::start(InstanceId id) {
  const auto lock = TRY(instances_.lock(id));
  InstanceRecord record = TRY(instances_.load(id));
  const InstanceState state = TRY(instances_.state_of(record));
  if (state == InstanceState::kShuttingDown) return invalid(id.text() + " is being terminated");
  if (state == InstanceState::kStopping) return busy(id.text() + " is still stopping: try again then");
  TRY(instances_.end_launch(id));
  if (state == InstanceState::kStopped) TRY(start_locked(record));
  return state;
}

Result<InstanceState> MachineHost::begin_stop(InstanceId id, bool force) {
  const auto lock = TRY(instances_.lock(id));
  InstanceRecord record = TRY(instances_.load(id));
  const InstanceState state = TRY(instances_.state_of(record));
  if (state == InstanceState::kShuttingDown) return invalid(id.text() + " is being terminated");
  record.wish = InstanceWish::kStopped;
  TRY(instances_.save(record));
  // A guest without a power button, or a monitor that hangs, is ended in the second step.
  if (!force) best_effort(press_power_button(instances_, record));
  return state;
}

Status MachineHost::finish_stop(InstanceId id, double seconds) {
  const InstanceRecord before = TRY(instances_.load(id));
  if (before.process) {
    const auto process = RunningProcess::find(*before.process);
    if (process.ok()) (void)process.value().wait(seconds);
  }
  const auto lock = TRY(instances_.lock(id));
  const InstanceRecord now = TRY(instances_.load(id));
  // Started again, or to be terminated, by somebody else meanwhile.
  if (now.wish != InstanceWish::kStopped || now.process != before.process) return {};
  return end_machine(instances_, now);
}

Result<MachineHost::Ended> MachineHost::terminate(InstanceId id) {
  const auto lock = TRY(instances_.lock(id));
  auto loaded = instances_.load(id);
  if (!loaded.ok()) {
    if (loaded.error().code() != ErrorCode::kNotFound) return loaded.take_error();
    TRY(remove_unrecorded(id));
    return Ended{InstanceState::kShuttingDown, {}};
  }
  InstanceRecord record = loaded.take();
  Ended ended;
  ended.before = TRY(instances_.state_of(record));
  std::vector<Attachments> held;  // what 'volume attach' has attached is found before anything is ended
  for (const InstanceDevice& device : record.devices) {
    if (device.file.empty() && device.delete_on_termination)
      held.push_back(TRY(hold_unattached(volumes_->repo().host(), device.volume)));
  }
  record.wish = InstanceWish::kTerminated;
  TRY(instances_.save(record));
  ended.kept = TRY(remove_locked(record));
  return ended;
}

Result<std::vector<VolumeId>> MachineHost::remove_locked(const InstanceRecord& record) {
  TRY(end_machine(instances_, record));
  std::vector<VolumeId> kept;
  for (const InstanceDevice& device : record.devices) {
    if (!device.file.empty()) continue;  // goes with the directory
    if (device.delete_on_termination) {
      TRY(remove_volume(device.volume));
    } else {
      kept.push_back(device.volume);
    }
  }
  TRY(instances_.remove(record.id));
  return kept;
}

// A launch that was cut off before there was a record has its mark; a volume that was made for it bears its
// id, and nobody has used it. Without the mark the id says only for whom a volume was made: it may be kept.
Status MachineHost::remove_unrecorded(InstanceId id) {
  if (!TRY(instances_.is_launch_unfinished(id))) return instances_.remove(id);
  for (const VolumeRecord& record : TRY(volumes_->catalog().list())) {
    const auto tag = record.tags.find(kInstanceTag);
    if (tag == record.tags.end() || tag->second != id.text()) continue;
    const Attachments held = TRY(hold_unattached(volumes_->repo().host(), record.id));
    TRY(remove_volume(record.id));
  }
  return instances_.remove(id);
}

// One that is gone already was removed by a termination that was cut off.
Status MachineHost::remove_volume(VolumeId id) {
  TRY(server_.close(id));
  Status removed = volumes_->remove(id);
  if (is(removed, ErrorCode::kNotFound)) return {};
  return removed;
}

}  // namespace ashlar
