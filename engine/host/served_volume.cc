#include "host/served_volume.h"

#include <fmt/format.h>

#include <system_error>

#include "base/threads.h"
#include "host/incarnation.h"
#include "host/volume_snapshots.h"
#include "volume/hydrator.h"

namespace ashlar {

ServedVolume::ServedVolume(const ServingParts& parts, VolumeId id, std::shared_ptr<Volume> volume)
    : parts_(parts),
      id_(id),
      directory_(parts.volumes.overlay_directory(id)),
      volume_(std::move(volume)),
      export_(std::make_shared<VolumeExport>(volume_, parts.pools)) {}
ServedVolume::~ServedVolume() = default;

Status ServedVolume::start() {
  incarnation_ = TRY(begin_life(parts_.volumes.files(), directory_));
  warm_up_ = TRY(parts_.volumes.warm_up(id_, *volume_));
  if (warm_up_) {
    warm_up_->prepare();
    // Without this thread the first reads take longer.
    auto started = try_start_thread([this](const std::stop_token& stop) { warm_up_->run(stop); });
    if (started.ok()) warmer_ = started.take();
  }
  control_ = TRY(ControlSocket::listen(directory_, [this](const std::string& line) { return answer(line); }));
  return {};
}

void ServedVolume::start_hydrating(std::uint64_t bytes_per_second) {
  if (hydrating_.exchange(true)) return;
  auto started = try_start_thread([this, bytes_per_second](const std::stop_token& stop) {
    HydrateProgress progress;
    hydration_ended(hydrate(*volume_, {bytes_per_second, true}, progress, stop));
  });
  if (started.ok()) {
    hydrator_ = started.take();
  } else {
    hydration_ended(started.error());
  }
}

void ServedVolume::hydration_ended(const Status& done) {
  const bool failed = !done.ok() && !is(done, ErrorCode::kCancelled);
  if (failed) parts_.notices.warn(fmt::format("{}: hydration ended: {}", id_.text(), done.error().text()));
  const std::lock_guard lock(hydration_mutex_);
  hydration_error_ = failed ? done.error().text() : "";
  hydrating_ = false;
}

Status ServedVolume::close() {
  control_.reset();
  hydrator_ = {};
  warmer_ = {};
  // The guest's data first; the notes of its reads can wait, and may be lost.
  TRY(volume_->overlay().close().with_context(id_.text()));
  TRY(end_life(parts_.volumes.files(), directory_, incarnation_).with_context(id_.text()));
  if (warm_up_) warm_up_->finish();
  return {};
}

VolumeState ServedVolume::state() const {
  VolumeState state = state_of(*volume_);
  const std::lock_guard lock(hydration_mutex_);
  state.served = true;
  state.hydrating = hydrating_.load();
  state.hydration_error = hydration_error_;
  if (warm_up_) {
    const WarmUp::Counters& ahead = warm_up_->counters();
    state.expected_bytes = ByteCount{ahead.expected_regions * kTraceRegionBlocks * kBlockBytes};
    state.expected_fetched_bytes = ByteCount{ahead.fetched_regions * kTraceRegionBlocks * kBlockBytes};
    state.boot_pack = ahead.from_boot_pack.load();
  }
  return state;
}

std::string ServedVolume::answer(const std::string& line) {
  const auto request = decode_volume_request(line);
  if (!request.ok()) return encode_error(request.error());
  return std::visit([this](const auto& one) { return encode_result(handle(one)); }, request.value());
}

Result<VolumeState> ServedVolume::handle(const DescribeVolume& /*request*/) { return state(); }

Result<CaptureReport> ServedVolume::handle(const SnapshotVolume& request) {
  OpenVolumeToCapture wanted{id_, volume_.get(), {}};
  wanted.options.name = request.name;
  wanted.options.description = request.description;
  wanted.options.tags = request.tags;
  wanted.options.consistency = Consistency::kInstant;
  CaptureProgress progress;
  const std::lock_guard one_at_a_time(parts_.captures);
  return snapshot_one(parts_.repo, parts_.volumes, std::move(wanted), progress, parts_.stop);
}

Result<VolumeState> ServedVolume::handle(const HydrateVolume& request) {
  start_hydrating(request.bytes_per_second);
  return state();
}

// A snapshot of several volumes does not come through this volume's socket, and may run meanwhile.
Result<VolumeState> ServedVolume::handle(const ResizeVolume& request) {
  const std::lock_guard not_in_a_capture(parts_.captures);
  TRY(parts_.volumes.resize(id_, volume_->overlay(), request.size));
  return state();
}

Result<DetachedVolume> ServedVolume::handle(const DetachVolume& /*request*/) {
  const std::lock_guard not_in_a_capture(parts_.captures);
  return DetachedVolume{TRY(parts_.volumes.detach(id_, volume_->overlay()))};
}

}  // namespace ashlar
