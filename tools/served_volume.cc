#include "served_volume.h"

#include <fmt/format.h>

#include "program/output.h"
#include "shapes/record_output.h"
#include "shapes/volume_output.h"
#include "volume/hydrator.h"

namespace ashlar {

ServedVolume::ServedVolume(VolumeHost& host, VolumeId id, std::shared_ptr<Volume> volume, ExportPools& pools,
                           std::mutex& captures, std::stop_token stop)
    : host_(host),
      id_(id),
      volume_(std::move(volume)),
      export_(std::make_shared<VolumeExport>(volume_, pools)),
      captures_(captures),
      stop_(std::move(stop)) {}
ServedVolume::~ServedVolume() = default;

Status ServedVolume::start() {
  incarnation_ = TRY(host_.begin_serving(id_));
  warm_up_ = TRY(host_.warm_up(id_, *volume_));
  if (warm_up_) {
    warm_up_->prepare();
    warmer_ = std::jthread([this](const std::stop_token& stop) { warm_up_->run(stop); });
  }
  control_ = TRY(ControlServer::start(host_.overlay_directory(id_),
                                      [this](const Json& request) { return answer(request); }));
  return {};
}

void ServedVolume::start_hydrating(std::uint64_t bytes_per_second) {
  if (hydrating_.exchange(true)) return;
  hydrator_ = std::jthread([this, bytes_per_second](const std::stop_token& stop) {
    HydrateProgress progress;
    const Status done = hydrate(*volume_, {bytes_per_second, true}, progress, stop);
    const bool failed = !done.ok() && done.error().code() != ErrorCode::kCancelled;
    if (failed) print_warning(fmt::format("{}: hydration ended: {}", id_.text(), done.error().text()));
    const std::lock_guard lock(hydration_mutex_);
    hydration_error_ = failed ? done.error().text() : "";
    hydrating_ = false;
  });
}

Status ServedVolume::close() {
  control_.reset();
  hydrator_ = {};
  warmer_ = {};
  // The guest's data first; what its reads were good for can wait, and be lost.
  TRY(volume_->overlay().close().with_context(id_.text()));
  TRY(host_.end_serving(id_, incarnation_).with_context(id_.text()));
  if (warm_up_) warm_up_->finish();
  return {};
}

Json ServedVolume::state() const {
  Json state = volume_state_json(*volume_, true);
  const std::lock_guard lock(hydration_mutex_);
  state["hydrating"] = hydrating_.load();
  if (warm_up_) {
    const WarmUp::Counters& ahead = warm_up_->counters();
    state["expected_bytes"] = ahead.expected_regions * kTraceRegionBlocks * kBlockBytes;
    state["expected_fetched_bytes"] = ahead.fetched_regions * kTraceRegionBlocks * kBlockBytes;
    state["boot_pack"] = ahead.from_boot_pack.load();
  }
  if (!hydration_error_.empty()) state["hydration_error"] = hydration_error_;
  return state;
}

Result<Json> ServedVolume::snapshot(const Json& request) {
  CaptureOptions how;
  how.name = request.value("name", "");
  how.description = request.value("description", "");
  how.tags = request.value("tags", Tags());
  how.consistency = Consistency::kInstant;
  CaptureProgress progress;
  const std::lock_guard one_at_a_time(captures_);
  return capture_json(TRY(host_.snapshot(id_, *volume_, std::move(how), progress, stop_)));
}

// One request at a time; snapshots of several volumes come another way, and hold captures_.
Result<Json> ServedVolume::answer(const Json& request) {
  const std::string verb = request.value("verb", "");
  if (verb == "describe") return state();
  if (verb == "snapshot") return snapshot(request);
  if (verb == "hydrate") {
    start_hydrating(request.value("rate", std::uint64_t{0}));
    return state();
  }
  if (verb == "resize") {
    const std::lock_guard not_in_a_capture(captures_);
    TRY(host_.resize(id_, volume_->overlay(), ByteCount{request.value("size", std::uint64_t{0})}));
    return state();
  }
  const std::lock_guard not_in_a_capture(captures_);
  if (verb == "detach") return Json{{"data", TRY(host_.detach(id_, volume_->overlay()))}};
  return invalid(fmt::format("the volume's server knows no '{}'", verb));
}

}  // namespace ashlar
