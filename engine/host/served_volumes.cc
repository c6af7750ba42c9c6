#include "host/served_volumes.h"

#include <fmt/format.h>

#include <chrono>
#include <system_error>
#include <thread>

#include "host/volume_snapshots.h"

namespace ashlar {
namespace {

constexpr std::chrono::milliseconds kPause{20};
constexpr int kPausesForClients = 250;  // 5 s: a machine that was ended has dropped its connection by then

Error not_served(VolumeId id) { return not_found(id.text() + " is not served here"); }

}  // namespace

Status ServedVolumes::add_snapshot(SnapshotId id) {
  auto exported = std::make_shared<SnapshotExport>(TRY(parts_.volumes.images().open(id)), pools_);
  const std::lock_guard lock(mutex_);
  exports_.emplace(id.text(), std::move(exported));
  return {};
}

Status ServedVolumes::open(VolumeId id) {
  const std::lock_guard one_at_a_time(change_mutex_);
  {
    const std::lock_guard lock(mutex_);
    if (volumes_.contains(id)) return {};
  }
  std::shared_ptr<Volume> volume = TRY(parts_.volumes.open(id));
  auto served = std::make_unique<ServedVolume>(parts_, id, std::move(volume));
  try {
    TRY(served->start());
  } catch (const std::system_error& failure) {  // no more threads
    return Error(ErrorCode::kExhausted, fmt::format("{}: {}", id.text(), failure.what()));
  }
  if (hydration_.wanted) served->start_hydrating(hydration_.bytes_per_second);
  const std::lock_guard lock(mutex_);
  exports_.emplace(id.text(), served->exported());
  volumes_.emplace(id, std::move(served));
  return {};
}

// Takes the export out of the list and returns true when no client uses it. Its volume and the list hold it
// when no connection does.
bool ServedVolumes::let_go(VolumeId id) {
  const std::lock_guard lock(mutex_);
  const auto found = exports_.find(id.text());
  if (found->second.use_count() > 2) return false;
  exports_.erase(found);
  return true;
}

Status ServedVolumes::close(VolumeId id) {
  const std::lock_guard one_at_a_time(change_mutex_);
  {
    const std::lock_guard lock(mutex_);
    if (!volumes_.contains(id)) return not_served(id);
  }
  for (int pauses = 0; !let_go(id); ++pauses) {
    if (pauses == kPausesForClients) return busy(id.text() + " is in use: a client is connected to it");
    std::this_thread::sleep_for(kPause);
  }
  std::unique_ptr<ServedVolume> served;
  {
    const std::lock_guard lock(mutex_);
    served = std::move(volumes_.extract(id).mapped());
  }
  return served->close();
}

Status ServedVolumes::open_all() {
  Volumes& volumes = parts_.volumes;
  std::vector<Error> unread;
  const std::vector<VolumeRecord> records = TRY(volumes.catalog().list(&unread));
  for (const Error& error : unread) {
    const std::string& what = error.text();
    if (unread_.insert(what).second) parts_.notices.warn("a volume is not served: " + what);
  }
  for (const VolumeRecord& record : records) {
    if (left_out_.contains(record.id) || !TRY(volumes.has_overlay(record.id))) continue;
    const Status opened = open(record.id);
    if (!opened.ok() && left_out_.insert(record.id).second)
      parts_.notices.warn(fmt::format("{} is not served: {}", record.id.text(), opened.error().text()));
  }
  return {};
}

Status ServedVolumes::serve_all() {
  HostDirectory& host = parts_.repo.host();
  TRY(host.make_folder(host.overlays()));
  auto lock = host.files().lock(host.overlays() + "/lock");
  if (is(lock, ErrorCode::kBusy)) return busy("another server serves the volumes of this store already");
  lock_ = TRY(std::move(lock));
  return open_all();
}

Status ServedVolumes::listening_on(std::string address) {
  {
    const std::lock_guard lock(mutex_);
    address_ = std::move(address);
  }
  if (!lock_) return {};
  control_ = TRY(ControlSocket::listen(parts_.repo.host().overlays(),
                                       [this](const std::string& line) { return answer(line); }));
  return open_all();  // those made since serve_all() looked
}

Status ServedVolumes::close_all() {
  control_.reset();
  Status first;
  for (const auto& [id, served] : volumes_) {
    Status closed = served->close();
    if (first.ok() && !closed.ok()) first = std::move(closed);
  }
  return first;
}

std::string ServedVolumes::answer(const std::string& line) {
  const auto request = decode_server_request(line);
  if (!request.ok()) return encode_error(request.error());
  return std::visit([this](const auto& one) { return encode_result(handle(one)); }, request.value());
}

Result<ServerState> ServedVolumes::handle(const DescribeServer& /*request*/) {
  return ServerState{names(), fetched_frames()};
}

Result<ServedAt> ServedVolumes::handle(const OpenVolume& request) {
  TRY(parts_.volumes.catch_up());
  TRY(open(request.volume));
  return ServedAt{uri_of(request.volume)};
}

Result<Done> ServedVolumes::handle(const CloseVolume& request) {
  TRY(close(request.volume));
  return Done{};
}

Result<Done> ServedVolumes::handle(const SnapshotTogether& request) {
  const std::lock_guard one_at_a_time(change_mutex_);  // no volume is opened or closed meanwhile
  std::vector<OpenVolumeToCapture> wanted;
  for (const SnapshotTogether::One& one : request.volumes) {
    const std::lock_guard lock(mutex_);
    const auto served = volumes_.find(one.volume);
    if (served == volumes_.end()) return not_served(one.volume);
    OpenVolumeToCapture& volume = wanted.emplace_back();
    volume.id = one.volume;
    volume.volume = &served->second->volume();
    volume.options.id = one.snapshot;
    volume.options.name = one.name;
    volume.options.description = one.description;
    volume.options.consistency = Consistency::kInstant;
  }
  CaptureProgress progress;
  const std::lock_guard one_capture_at_a_time(captures_);
  TRY(snapshot_together(parts_.repo, parts_.volumes, std::move(wanted), progress, parts_.stop));
  return Done{};
}

// Turns "nbd+unix:///?socket=/s" into "nbd+unix:///vol-…@1?socket=/s", "nbd://h:1" into "nbd://h:1/vol-…@1".
std::string ServedVolumes::uri_of(VolumeId id) {
  const std::lock_guard lock(mutex_);
  const std::string name = fmt::format("{}@{}", id.text(), volumes_.at(id)->incarnation());
  const std::size_t query = address_.find('?');
  if (query == std::string::npos) return address_ + "/" + name;
  return address_.substr(0, query) + name + address_.substr(query);
}

// Returns whether "vol-…@N" is the volume's present life. The caller holds the mutex.
bool ServedVolumes::is_incarnation(const std::string& name, const std::string& number) {
  const auto id = VolumeId::parse(name);
  if (!id.ok()) return false;
  const auto served = volumes_.find(id.value());
  return served != volumes_.end() && std::to_string(served->second->incarnation()) == number;
}

std::vector<std::string> ServedVolumes::names() {
  const std::lock_guard lock(mutex_);
  std::vector<std::string> names;
  for (const auto& [name, exported] : exports_) names.push_back(name);
  return names;
}

Result<std::shared_ptr<Export>> ServedVolumes::find(const std::string& name) {
  const std::lock_guard lock(mutex_);
  if (name.empty() && exports_.size() == 1) return exports_.begin()->second;
  const std::size_t at = name.find('@');
  const auto found = exports_.find(name.substr(0, at));
  if (found == exports_.end()) return not_found(fmt::format("no export '{}'", name));
  if (at != std::string::npos && !is_incarnation(name.substr(0, at), name.substr(at + 1)))
    return not_found(fmt::format("'{}' lost writes when its server ended: restart its client", name));
  return found->second;
}

}  // namespace ashlar
