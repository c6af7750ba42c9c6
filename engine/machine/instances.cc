#include "machine/instances.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>

#include "machine/background_process.h"
#include "machine/command_line.h"

namespace ashlar {
namespace {

constexpr std::array kStates = {"pending", "running", "stopping", "stopped", "shutting-down", "terminated"};
constexpr std::array kParts = {"instance.json.new", kQmpSocketName, kConsoleName, kQemuLogName};

Error unknown(InstanceId id) {
  return not_found(fmt::format("no instance {} on this host: 'ashlar instances list' lists them", id.text()));
}

Status remove_if_there(FileSystem& files, const std::string& path) {
  Status removed = files.remove(path);
  if (!removed.ok() && removed.error().code() == ErrorCode::kNotFound) return {};
  return removed;
}

}  // namespace

std::string_view instance_state_name(InstanceState state) {
  return kStates.at(static_cast<std::size_t>(state));
}

Status Instances::make(InstanceId id) {
  TRY(files_.make_directory(folder_));
  TRY(files_.sync_directory(store_));
  TRY(files_.make_directory(directory(id)));
  if (::chmod(directory(id).c_str(), 0700) != 0) return last_errno(directory(id));
  return files_.sync_directory(folder_);
}

Result<std::unique_ptr<FileLock>> Instances::lock(InstanceId id) {
  auto held = files_.lock(directory(id) + "/lock");
  if (held.ok()) return held;
  if (held.error().code() == ErrorCode::kNotFound) return unknown(id);
  if (held.error().code() != ErrorCode::kBusy) return held;
  return busy(id.text() + " is being changed by another process at this moment");
}

Status Instances::save(const InstanceRecord& record) {
  TRY(check_limits(record));
  const std::string path = record_path(record.id);
  const std::string fresh = path + ".new";
  TRY(remove_if_there(files_, fresh));
  {
    const auto file = TRY(files_.create(fresh));
    TRY(file->append(as_byte_span(encode(record))));
    TRY(file->sync());
  }
  TRY(files_.rename(fresh, path));
  return files_.sync_directory(directory(record.id));
}

Result<InstanceRecord> Instances::load(InstanceId id) const {
  const std::string path = record_path(id);
  auto bytes = read_file(files_, path, kMaxInstanceRecordBytes);
  if (!bytes.ok() && bytes.error().code() == ErrorCode::kNotFound) return unknown(id);
  if (!bytes.ok()) return bytes.take_error();
  InstanceRecord record = TRY(decode_instance_record(as_text(bytes.value())).with_context(path));
  if (record.id != id) return corrupt(fmt::format("{}: holds the record of {}", path, record.id.text()));
  return record;
}

Result<std::vector<InstanceId>> Instances::list() const {
  auto entries = files_.list(folder_);
  std::vector<InstanceId> ids;
  if (!entries.ok() && entries.error().code() == ErrorCode::kNotFound) return ids;
  for (const DirectoryEntry& entry : TRY(std::move(entries))) {
    const auto id = InstanceId::parse(entry.name);
    if (entry.is_directory && id.ok()) ids.push_back(id.value());
  }
  return ids;
}

Status Instances::remove(InstanceId id) {
  const std::string at = directory(id);
  // The record goes first: a directory without one is no machine any more.
  TRY(remove_if_there(files_, record_path(id)));
  TRY(files_.sync_directory(at));
  for (const char* part : kParts) TRY(remove_if_there(files_, at + "/" + part));
  TRY(remove_if_there(files_, at + "/lock"));
  TRY(files_.remove(at));
  return files_.sync_directory(folder_);
}

Result<std::optional<InstanceRecord>> Instances::owner_of(VolumeId volume) const {
  for (const InstanceId id : TRY(list())) {
    auto record = load(id);
    if (!record.ok()) continue;
    const auto is_volume = [&](const InstanceDevice& device) { return device.volume == volume; };
    if (std::ranges::any_of(record.value().devices, is_volume)) return std::optional(record.take());
  }
  return std::optional<InstanceRecord>();
}

Result<InstanceState> Instances::state_of(const InstanceRecord& record) const {
  if (record.wish == InstanceWish::kTerminated) return InstanceState::kShuttingDown;
  const bool lives = record.process && TRY(is_running(*record.process));
  if (!lives) return InstanceState::kStopped;
  if (record.wish == InstanceWish::kStopped) return InstanceState::kStopping;
  struct stat about {};
  const bool listens = ::lstat((directory(record.id) + "/" + kQmpSocketName).c_str(), &about) == 0;
  return listens ? InstanceState::kRunning : InstanceState::kPending;
}

}  // namespace ashlar
