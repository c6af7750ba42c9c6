#include "machine_host.h"

#include <fmt/format.h>

#include <cstdlib>

#include "attachment.h"
#include "base/random.h"
#include "machine/background_process.h"
#include "machine/machine.h"
#include "store_option.h"

namespace ashlar {
namespace {

constexpr const char* kRootDevice = "/dev/sda";
constexpr const char* kInstanceTag = "instance";
constexpr const char* kAcceleratorVariable = "ASHLAR_ACCEL";

std::string preferred_accelerator() {
  const char* value = std::getenv(kAcceleratorVariable);  // NOLINT(concurrency-mt-unsafe): nobody changes it
  return value ? value : "";
}

}  // namespace

MachineHost::MachineHost(std::unique_ptr<VolumeHost> volumes)
    : volumes_(std::move(volumes)),
      instances_(posix_file_system(), volumes_->repo().path()),
      server_(volumes_->repo().path()) {}

Result<std::unique_ptr<MachineHost>> MachineHost::open(const Globals& globals) {
  std::unique_ptr<VolumeHost> volumes = TRY(open_volume_host(globals));
  return std::unique_ptr<MachineHost>(new MachineHost(std::move(volumes)));
}

// Until it is started its record says that it is to be terminated: a launch that is cut off leaves nothing
// that 'instances terminate' would not clear away.
Result<InstanceRecord> MachineHost::make(const MachineSpec& spec, InstanceId id, VolumeId volume) {
  InstanceRecord record = spec.shape;
  record.id = id;
  record.created = UtcTime::now();
  record.wish = InstanceWish::kTerminated;
  record.snapshot = spec.snapshot;
  record.devices = {{kRootDevice, volume, !spec.keep_volumes}};
  TRY(instances_.save(record));
  return record;
}

Result<InstanceRecord> MachineHost::launch(const MachineSpec& spec) {
  const InstanceId id{random_u64()};
  TRY(instances_.make(id));
  const auto lock = TRY(instances_.lock(id));
  TRY(instances_.begin_launch(id));
  auto volume = volumes_->create({spec.snapshot, spec.size, spec.shape.name, {{kInstanceTag, id.text()}}});
  if (!volume.ok()) {
    TRY(instances_.remove(id));
    return volume.take_error();
  }
  auto record = make(spec, id, volume.value().id);
  Status started = record.ok() ? start_locked(record.value()) : Status(record.take_error());
  if (started.ok()) started = instances_.end_launch(id);
  if (started.ok()) return record;
  InstanceRecord failed;
  failed.id = id;
  failed.devices = {{kRootDevice, volume.value().id, true}};
  if (record.ok()) failed.process = record.value().process;
  Status undone;
  if (auto removed = remove_locked(failed); !removed.ok()) undone = removed.take_error();
  if (undone.ok()) return started.take_error();
  return Error(started.error().code(), fmt::format("{}; and {} can't be cleared away: {}",
                                                   started.error().text(), id.text(), undone.error().text()));
}

Status MachineHost::start_locked(InstanceRecord& record) {
  std::vector<NbdExport> exports;
  std::vector<Attachments> held;  // until the record says who uses the volumes
  for (const InstanceDevice& device : record.devices) {
    TRY(volumes_->catalog().get(device.volume));
    held.push_back(TRY(hold_unattached(volumes_->repo().path(), device.volume)));
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
  if (!force) (void)press_power_button(instances_, record).ok();
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
  std::vector<Attachments> held;  // all or nothing: what is attached is found before anything is ended
  for (const InstanceDevice& device : record.devices) {
    if (device.delete_on_termination)
      held.push_back(TRY(hold_unattached(volumes_->repo().path(), device.volume)));
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
    if (tag != record.tags.end() && tag->second == id.text()) TRY(remove_volume(record.id));
  }
  return instances_.remove(id);
}

// One that is gone already was removed by a termination that was cut off.
Status MachineHost::remove_volume(VolumeId id) {
  TRY(server_.close(id));
  Status removed = volumes_->remove(id);
  if (!removed.ok() && removed.error().code() == ErrorCode::kNotFound) return {};
  return removed;
}

}  // namespace ashlar
