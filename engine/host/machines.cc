#include "host/machines.h"

#include <fmt/format.h>

#include "base/random.h"
#include "host/machine_parts.h"
#include "machine/machine.h"
#include "process/background_process.h"

namespace ashlar {
namespace {

Error being_terminated(InstanceId id) { return invalid(id.text() + " is being terminated"); }

}  // namespace

Machines::Machines(Repo& repo, Volumes& volumes, Attachments& attachments, VolumeServer& server,
                   std::string accelerator)
    : repo_(repo),
      volumes_(volumes),
      attachments_(attachments),
      server_(server),
      accelerator_(std::move(accelerator)),
      instances_(repo.host().files(), repo.host().instances()) {}

// Until the machine is started its record says that it is to be terminated: a launch that is cut off leaves
// only what terminate() clears away.
Result<InstanceRecord> Machines::launch(const MachineSpec& spec) {
  InstanceRecord record = spec.shape;
  record.id = InstanceId{random_u64()};
  record.created = UtcTime::now();
  record.wish = InstanceWish::kTerminated;
  record.image = spec.image;
  record.snapshot = spec.devices.front().content.snapshot;
  TRY(repo_.host().make_folder(repo_.host().instances()));
  TRY(instances_.make(record.id));
  const auto lock = TRY(instances_.lock(record.id));
  TRY(instances_.begin_launch(record.id));
  Status started = make_parts(repo_, volumes_, instances_, spec, record);
  if (started.ok()) started = instances_.save(record);
  if (started.ok()) started = start_locked(record);
  if (started.ok()) started = instances_.end_launch(record.id);
  if (started.ok()) return record;
  return undo_launch(record, started.error());
}

Error Machines::undo_launch(InstanceRecord& record, const Error& error) {
  for (InstanceDevice& device : record.devices) device.delete_on_termination = true;
  const auto removed = remove_locked(record);
  if (removed.ok()) return error;
  return error.with_text(fmt::format("{}; and {} can't be cleared away: {}", error.text(), record.id.text(),
                                     removed.error().text()));
}

Status Machines::start_locked(InstanceRecord& record) {
  std::vector<NbdExport> exports;
  std::vector<HeldVolume> held;  // until the record says which machine uses the volumes
  for (const InstanceDevice& device : record.devices) {
    if (!device.file.empty()) continue;
    TRY(volumes_.catalog().get(device.volume));
    held.push_back(TRY(attachments_.hold_unattached(device.volume)));
    exports.push_back(TRY(server_.open(device.volume)));
  }
  return start_machine(instances_, record, std::move(exports), accelerator_);
}

Status Machines::shut_down_locked(InstanceRecord& record, double seconds) {
  record.wish = InstanceWish::kStopped;
  TRY(instances_.save(record));
  best_effort(press_power_button(instances_, record));  // a guest that has none does not switch itself off
  const auto process = RunningProcess::find(*record.process);
  if (!process.ok() || process.value().wait(seconds)) return end_machine(instances_, record);
  record.wish = InstanceWish::kRunning;
  TRY(instances_.save(record));
  return busy(
             fmt::format("{} did not switch itself off within {:.0f} s; it was asked to, and may still do so",
                         record.id.text(), seconds))
      .about(ErrorKind::kGuestStaysOn, record.id.text());
}

Result<InstanceState> Machines::start(InstanceId id) {
  const auto lock = TRY(instances_.lock(id));
  InstanceRecord record = TRY(instances_.load(id));
  const InstanceState state = TRY(instances_.state_of(record));
  if (state == InstanceState::kShuttingDown) return being_terminated(id);
  if (state == InstanceState::kStopping) return busy(id.text() + " is still stopping: try again then");
  TRY(instances_.end_launch(id));
  if (state == InstanceState::kStopped) TRY(start_locked(record));
  return state;
}

Result<InstanceState> Machines::begin_stop(InstanceId id, bool force) {
  const auto lock = TRY(instances_.lock(id));
  InstanceRecord record = TRY(instances_.load(id));
  const InstanceState state = TRY(instances_.state_of(record));
  if (state == InstanceState::kShuttingDown) return being_terminated(id);
  record.wish = InstanceWish::kStopped;
  TRY(instances_.save(record));
  // A guest without a power button, or a monitor that hangs, is ended in the second step.
  if (!force) best_effort(press_power_button(instances_, record));
  return state;
}

Status Machines::finish_stop(InstanceId id, double seconds) {
  const InstanceRecord before = TRY(instances_.load(id));
  if (before.process) {
    const auto process = RunningProcess::find(*before.process);
    if (process.ok()) (void)process.value().wait(seconds);
  }
  const auto lock = TRY(instances_.lock(id));
  const InstanceRecord now = TRY(instances_.load(id));
  // Another process started it again meanwhile, or is to terminate it.
  if (now.wish != InstanceWish::kStopped || now.process != before.process) return {};
  return end_machine(instances_, now);
}

Result<Machines::Ended> Machines::terminate(InstanceId id) {
  const auto lock = TRY(instances_.lock(id));
  auto loaded = instances_.load(id);
  if (is(loaded, ErrorCode::kNotFound)) {
    TRY(remove_unrecorded(id));
    return Ended{InstanceState::kShuttingDown, {}};
  }
  InstanceRecord record = TRY(std::move(loaded));
  Ended ended;
  ended.before = TRY(instances_.state_of(record));
  std::vector<HeldVolume> held;  // an attached volume is found before anything is ended
  for (const InstanceDevice& device : record.devices) {
    if (device.file.empty() && device.delete_on_termination)
      held.push_back(TRY(attachments_.hold_unattached(device.volume)));
  }
  record.wish = InstanceWish::kTerminated;
  TRY(instances_.save(record));
  ended.kept = TRY(remove_locked(record));
  return ended;
}

Result<std::vector<VolumeId>> Machines::remove_locked(const InstanceRecord& record) {
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
// id, and was never used. Without the mark the id says only for which machine a volume was made: it may be
// kept.
Status Machines::remove_unrecorded(InstanceId id) {
  if (!TRY(instances_.is_launch_unfinished(id))) return instances_.remove(id);
  std::vector<Error> unread;  // a record that can't be read is not known to be this machine's
  for (const VolumeRecord& record : TRY(volumes_.catalog().list(&unread))) {
    const auto tag = record.tags.find(kInstanceTag);
    if (tag == record.tags.end() || tag->second != id.text()) continue;
    const HeldVolume held = TRY(attachments_.hold_unattached(record.id));
    TRY(remove_volume(record.id));
  }
  return instances_.remove(id);
}

// A volume that is gone already was removed by a termination that was cut off. The blocks of one that is not
// here were set aside or lost: a machine has its volumes in its own host directory.
Status Machines::remove_volume(VolumeId id) {
  TRY(server_.close(id));
  Status removed = volumes_.remove(id, BlocksElsewhere::kGiveUp);
  if (is(removed, ErrorCode::kNotFound)) return {};
  return removed;
}

}  // namespace ashlar
