#include "machine/instances.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <sstream>

#include "io/replace_file.h"
#include "machine/command_line.h"
#include "process/background_process.h"

namespace ashlar {
namespace {

constexpr std::array kStates = {"pending", "running", "stopping", "stopped", "shutting-down", "terminated"};
constexpr const char* kRecordName = "instance.json";
constexpr const char* kLockName = "lock";
constexpr const char* kLaunchName = "launching";
constexpr std::array kParts = {"instance.json.new", kQmpSocketName, kConsoleName, kQemuLogName,
                               kLaunchName,         kKernelName,    kRamdiskName};
constexpr std::string_view kPartialSuffix = ".ashlar-partial";  // ending of a restore that was cut off
constexpr std::size_t kMaxLaunchBytes = 128;

Error unknown(InstanceId id) {
  return not_found(fmt::format("no instance {} on this host", id.text()))
      .about(ErrorKind::kNoSuchInstance, id.text());
}

// Returns whether a file belongs to a machine, besides its record and its lock.
bool is_part(std::string_view name) {
  if (name.ends_with(kPartialSuffix)) name.remove_suffix(kPartialSuffix.size());
  return is_device_file(name) || std::ranges::find(kParts, name) != kParts.end();
}

}  // namespace

std::string Instances::record_path(InstanceId id) const { return directory(id) + "/" + kRecordName; }
std::string Instances::launch_path(InstanceId id) const { return directory(id) + "/" + kLaunchName; }

std::string_view instance_state_name(InstanceState state) {
  return kStates.at(static_cast<std::size_t>(state));
}

Status Instances::make(InstanceId id) {
  TRY(files_.make_directory(directory(id)));
  if (::chmod(directory(id).c_str(), 0700) != 0) return last_errno(directory(id));
  return files_.sync_directory(folder_);
}

Result<std::unique_ptr<FileLock>> Instances::lock(InstanceId id) {
  auto held = files_.lock(directory(id) + "/" + kLockName);
  if (held.ok()) return held;
  if (held.error().code() == ErrorCode::kNotFound) return unknown(id);
  if (held.error().code() != ErrorCode::kBusy) return held;
  return busy(id.text() + " is being changed by another process at this moment");
}

Status Instances::save(const InstanceRecord& record) {
  TRY(check_limits(record));
  return replace_file(files_, record_path(record.id), as_byte_span(encode(record)));
}

Result<InstanceRecord> Instances::load(InstanceId id) const {
  const std::string path = record_path(id);
  auto bytes = read_file(files_, path, kMaxInstanceRecordBytes);
  if (is(bytes, ErrorCode::kNotFound)) return unknown(id);
  if (!bytes.ok()) return bytes.take_error();
  InstanceRecord record = TRY(decode_instance_record(as_text(bytes.value())).with_context(path));
  if (record.id != id) return corrupt(fmt::format("{}: holds the record of {}", path, record.id.text()));
  return record;
}

Result<std::vector<InstanceId>> Instances::list() const {
  auto entries = files_.list(folder_);
  std::vector<InstanceId> ids;
  if (is(entries, ErrorCode::kNotFound)) return ids;
  for (const DirectoryEntry& entry : TRY(std::move(entries))) {
    const auto id = InstanceId::parse(entry.name);
    if (entry.is_directory && id.ok()) ids.push_back(id.value());
  }
  return ids;
}

Status Instances::begin_launch(InstanceId id) {
  const ProcessIdentity us = TRY(process_of(static_cast<std::uint32_t>(::getpid())));
  const std::string text = fmt::format("{} {} {}\n", to_hex(us.boot), us.pid, us.pid_started);
  const auto file = TRY(files_.create(launch_path(id)));
  TRY(file->append(as_byte_span(text)));
  TRY(file->sync());
  return files_.sync_directory(directory(id));
}

Status Instances::end_launch(InstanceId id) {
  TRY(remove_if_there(files_, launch_path(id)));
  return files_.sync_directory(directory(id));
}

Result<bool> Instances::is_launch_unfinished(InstanceId id) const {
  const auto mark = read_file(files_, launch_path(id), kMaxLaunchBytes);
  if (mark.ok()) return true;
  if (mark.error().code() == ErrorCode::kNotFound) return false;
  return mark.error();
}

// Returns whether the launching process still runs. When it does not, the launch was cut off.
Result<bool> Instances::is_being_launched(InstanceId id) const {
  const auto mark = read_file(files_, launch_path(id), kMaxLaunchBytes);
  if (!mark.ok()) return false;
  std::istringstream words{std::string(as_text(mark.value()))};
  std::string boot;
  ProcessIdentity process;
  words >> boot >> process.pid >> process.pid_started;
  if (!words || !from_hex(boot, process.boot).ok()) return false;
  return is_running(process);
}

Status Instances::refuse_strange_files(InstanceId id) const {
  const std::string at = directory(id);
  for (const DirectoryEntry& entry : TRY(files_.list(at))) {
    if (entry.name == kRecordName || entry.name == kLockName || is_part(entry.name)) continue;
    return busy(fmt::format("{}/{} is not a part of {}: move it away, then terminate once more", at,
                            entry.name, id.text()));
  }
  return {};
}

Status Instances::remove(InstanceId id) {
  const std::string at = directory(id);
  TRY(refuse_strange_files(id));
  for (const DirectoryEntry& entry : TRY(files_.list(at))) {
    if (is_part(entry.name)) TRY(remove_if_there(files_, at + "/" + entry.name));
  }
  // The record goes last, because it says which volumes are kept.
  TRY(files_.sync_directory(at));
  TRY(remove_if_there(files_, record_path(id)));
  TRY(files_.sync_directory(at));
  TRY(remove_if_there(files_, at + "/" + kLockName));
  TRY(files_.remove(at));
  return files_.sync_directory(folder_);
}

Result<std::optional<InstanceRecord>> Instances::owner_of(VolumeId volume) const {
  Status unread;
  for (const InstanceId id : TRY(list())) {
    auto record = load(id);
    if (is(record, ErrorCode::kNotFound)) continue;
    if (!record.ok()) {
      unread = record.take_error().with_context("it is unknown which instance owns " + volume.text());
      continue;
    }
    const auto is_volume = [&](const InstanceDevice& device) { return device.volume == volume; };
    if (std::ranges::any_of(record.value().devices, is_volume)) return std::optional(record.take());
  }
  TRY(std::move(unread));
  return std::optional<InstanceRecord>();
}

Result<InstanceState> Instances::state_of(const InstanceRecord& record) const {
  if (record.wish == InstanceWish::kTerminated)
    return TRY(is_being_launched(record.id)) ? InstanceState::kPending : InstanceState::kShuttingDown;
  const bool lives = record.process && TRY(is_running(*record.process));
  if (!lives) return InstanceState::kStopped;
  if (record.wish == InstanceWish::kStopped) return InstanceState::kStopping;
  struct stat about {};
  const bool listens = ::lstat((directory(record.id) + "/" + kQmpSocketName).c_str(), &about) == 0;
  return listens ? InstanceState::kRunning : InstanceState::kPending;
}

}  // namespace ashlar
