#include "serving.h"

#include <fmt/format.h>

#include <chrono>
#include <system_error>
#include <thread>

#include "program/output.h"
#include "shapes/record_output.h"

namespace ashlar {
namespace {

constexpr std::chrono::milliseconds kPause{20};
constexpr int kPausesForClients = 250;  // 5 s: a machine that was ended has dropped its connection by then

}  // namespace

Status Serving::add_snapshot(SnapshotId id) {
  auto exported = std::make_shared<SnapshotExport>(TRY(host_.open_snapshot(id)), pools_);
  const std::lock_guard lock(mutex_);
  exports_.emplace(id.text(), std::move(exported));
  return {};
}

Status Serving::open(VolumeId id) {
  const std::lock_guard one_at_a_time(change_mutex_);
  {
    const std::lock_guard lock(mutex_);
    if (volumes_.contains(id)) return {};
  }
  std::shared_ptr<Volume> volume = TRY(host_.open_volume(id));
  auto served = std::make_unique<ServedVolume>(host_, id, std::move(volume), pools_, captures_, stop_);
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

// Whether nobody uses the export any more; then no client finds it from now on. Two hold it when no
// connection does: its volume, and the list.
bool Serving::let_go(VolumeId id) {
  const std::lock_guard lock(mutex_);
  const auto found = exports_.find(id.text());
  if (found->second.use_count() > 2) return false;
  exports_.erase(found);
  return true;
}

Status Serving::close(VolumeId id) {
  const std::lock_guard one_at_a_time(change_mutex_);
  {
    const std::lock_guard lock(mutex_);
    if (!volumes_.contains(id)) return not_found(id.text() + " is not served here");
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

Status Serving::open_all() {
  for (const VolumeRecord& record : TRY(host_.catalog().list())) {
    if (left_out_.contains(record.id) || !TRY(host_.has_overlay(record.id))) continue;
    const Status opened = open(record.id);
    if (!opened.ok() && left_out_.insert(record.id).second)
      print_warning(fmt::format("{} is not served: {}", record.id.text(), opened.error().text()));
  }
  return {};
}

Status Serving::serve_all() {
  const std::string overlays = TRY(host_.make_overlays_directory());
  auto lock = posix_file_system().lock(overlays + "/lock");
  if (is(lock, ErrorCode::kBusy)) {
    return busy("another 'ashlar serve --all' serves the volumes of this store");
  }
  lock_ = TRY(std::move(lock));
  return open_all();
}

// {"volumes": [{"volume": …, "snapshot": …, "name": …, "tags": …}, …]}: each gets the snapshot that is named.
Result<Json> Serving::snapshot_together(const Json& request) {
  const std::lock_guard one_at_a_time(change_mutex_);  // nothing is opened or closed meanwhile
  std::vector<VolumeHost::Wanted> wanted;
  for (const Json& one : request.value("volumes", Json::array())) {
    VolumeHost::Wanted volume;
    volume.id = TRY(VolumeId::parse(one.value("volume", "")));
    volume.options.id = TRY(SnapshotId::parse(one.value("snapshot", "")));
    volume.options.name = one.value("name", "");
    volume.options.description = one.value("description", "");
    volume.options.consistency = Consistency::kInstant;
    const std::lock_guard lock(mutex_);
    const auto served = volumes_.find(volume.id);
    if (served == volumes_.end()) return not_found(volume.id.text() + " is not served here");
    volume.volume = &served->second->volume();
    wanted.push_back(std::move(volume));
  }
  CaptureProgress progress;
  const std::lock_guard one_capture_at_a_time(captures_);
  Json snapshots = Json::array();
  for (const CaptureReport& report : TRY(host_.snapshot_together(std::move(wanted), progress, stop_)))
    snapshots.push_back(capture_json(report));
  return Json{{"snapshots", snapshots}};
}

Result<Json> Serving::answer(const Json& request) {
  if (request.value("verb", "") == "describe") {
    return Json{{"volumes", names()}, {"fetched_frames", host_.fetched_frames()}};
  }
  if (request.value("verb", "") == "snapshot_together") return snapshot_together(request);
  const VolumeId id = TRY(VolumeId::parse(request.value("volume", "")));
  const std::string verb = request.value("verb", "");
  if (verb == "open") {
    TRY(host_.catch_up());
    TRY(open(id));
    return Json{{"volume", id.text()}, {"address", uri_of(id)}};
  }
  if (verb == "close") {
    TRY(close(id));
    return Json{{"volume", id.text()}};
  }
  return invalid(fmt::format("the server knows no '{}'", verb));
}

// "nbd+unix:///?socket=/s" becomes "nbd+unix:///vol-…@1?socket=/s", "nbd://h:1" becomes "nbd://h:1/vol-…@1".
std::string Serving::uri_of(VolumeId id) {
  const std::lock_guard lock(mutex_);
  const std::string name = fmt::format("{}@{}", id.text(), volumes_.at(id)->incarnation());
  const std::size_t query = address_.find('?');
  if (query == std::string::npos) return address_ + "/" + name;
  return address_.substr(0, query) + name + address_.substr(query);
}

Status Serving::close_all() {
  control_.reset();
  Status first;
  for (const auto& [id, served] : volumes_) {
    Status closed = served->close();
    if (first.ok() && !closed.ok()) first = std::move(closed);
  }
  return first;
}

Status Serving::listening_on(std::string address) {
  {
    const std::lock_guard lock(mutex_);
    address_ = std::move(address);
  }
  if (!lock_) return {};
  control_ = TRY(ControlServer::start(TRY(host_.make_overlays_directory()),
                                      [this](const Json& request) { return answer(request); }));
  return open_all();  // those made since serve_all() looked
}

void Serving::add_metrics(MetricsText& text) {
  using Type = MetricsText::Type;
  struct Figure {
    const char* name;
    Type type;
    const char* help;
    std::uint64_t (*of)(const Volume&);
  };
  static constexpr Figure kFigures[] = {
      {"ashlar_volume_reads_total", Type::kCounter, "Reads of a volume.",
       [](const Volume& v) { return v.counters().reads.load(); }},
      {"ashlar_volume_missed_reads_total", Type::kCounter, "Reads that waited for the store.",
       [](const Volume& v) { return v.counters().missed_reads.load(); }},
      {"ashlar_volume_stalled_microseconds_total", Type::kCounter, "How long they waited, in sum.",
       [](const Volume& v) { return v.counters().stalled_ns.load() / 1000; }},
      {"ashlar_volume_writes_total", Type::kCounter, "Writes, trims and zeroes.",
       [](const Volume& v) { return v.counters().writes.load(); }},
      {"ashlar_volume_fetched_bytes_total", Type::kCounter, "Bytes that came from the store.",
       [](const Volume& v) { return v.counters().fetched_bytes.load(); }},
      {"ashlar_volume_dirty_bytes", Type::kGauge, "Written since the volume's snapshot.",
       [](const Volume& v) { return byte_count(v.overlay().counters().dirty).value; }},
      {"ashlar_volume_clean_bytes", Type::kGauge, "Held, and equal to the snapshot.",
       [](const Volume& v) { return byte_count(v.overlay().counters().clean).value; }},
      {"ashlar_volume_size_bytes", Type::kGauge, "Size of the volume.",
       [](const Volume& v) { return v.size().value; }}};
  text.single("ashlar_fetched_frames_total", Type::kCounter, "Frames read from packs, for all volumes.",
              host_.fetched_frames());
  const std::lock_guard lock(mutex_);
  for (const Figure& figure : kFigures) {
    text.family(figure.name, figure.type, figure.help);
    for (const auto& [id, served] : volumes_)
      text.sample(figure.of(served->volume()), {{"volume", id.text()}});
  }
}

// Under the mutex: whether "vol-…@N" is the volume's life of now.
bool Serving::is_incarnation(const std::string& name, const std::string& number) {
  const auto id = VolumeId::parse(name);
  if (!id.ok()) return false;
  const auto served = volumes_.find(id.value());
  return served != volumes_.end() && std::to_string(served->second->incarnation()) == number;
}

std::vector<std::string> Serving::names() {
  const std::lock_guard lock(mutex_);
  std::vector<std::string> names;
  for (const auto& [name, exported] : exports_) names.push_back(name);
  return names;
}

Result<std::shared_ptr<Export>> Serving::find(const std::string& name) {
  const std::lock_guard lock(mutex_);
  if (name.empty() && exports_.size() == 1) return exports_.begin()->second;
  const std::size_t at = name.find('@');
  const auto found = exports_.find(name.substr(0, at));
  if (found == exports_.end()) return not_found(fmt::format("no export '{}'", name));
  if (at != std::string::npos && !is_incarnation(name.substr(0, at), name.substr(at + 1)))
    return not_found(fmt::format("'{}' lost writes when its server died: start its client anew", name));
  return found->second;
}

}  // namespace ashlar
