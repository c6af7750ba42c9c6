#include "host/volume_access.h"

#include <algorithm>
#include <chrono>
#include <optional>
#include <thread>

#include "host/incarnation.h"
#include "host/volume_snapshots.h"
#include "volume/hydrator.h"

namespace ashlar {
namespace {

constexpr std::chrono::milliseconds kPoll{200};

ProgressSample sample_of(const HydrateProgress& progress) {
  ProgressSample sample;
  sample.total_bytes = progress.total_bytes;
  sample.done_bytes = progress.done_bytes;
  sample.read_bytes = progress.fetched_bytes;
  return sample;
}

ProgressSample sample_of(const CaptureProgress& progress) {
  ProgressSample sample;
  sample.total_bytes = progress.total_bytes;
  sample.done_bytes = progress.done_bytes;
  sample.read_bytes = progress.read_bytes;
  sample.new_bytes = progress.new_bytes;
  sample.stored_bytes = progress.stored_bytes;
  return sample;
}

// A volume that this process opened. Its overlay is closed after the operation.
class VolumeHere : public VolumeAccess {
 public:
  VolumeHere(Repo& repo, Volumes& volumes, VolumeId id, std::unique_ptr<Overlay> overlay)
      : repo_(repo), volumes_(volumes), id_(id), overlay_(std::move(overlay)) {}

  Result<VolumeState> describe() override {
    TRY(begin());
    const auto volume = TRY(open());
    const VolumeState state = state_of(*volume);
    TRY(end(volume->overlay()));
    return state;
  }

  Result<CaptureReport> snapshot(const SnapshotVolume& how, Notices& notices,
                                 const std::stop_token& stop) override {
    TRY(begin());
    const auto volume = TRY(open());
    OpenVolumeToCapture wanted{id_, volume.get(), {}};
    wanted.options.name = how.name;
    wanted.options.description = how.description;
    wanted.options.tags = how.tags;
    CaptureProgress progress;
    CaptureReport report;
    {
      const auto watch = notices.watch("volume snapshot", [&progress] { return sample_of(progress); });
      report = TRY(snapshot_one(repo_, volumes_, std::move(wanted), progress, stop));
    }
    TRY(end(volume->overlay()));
    return report;
  }

  Result<VolumeState> hydrate(std::uint64_t bytes_per_second, Notices& notices,
                              const std::stop_token& stop) override {
    TRY(begin());
    const auto volume = TRY(open());
    HydrateProgress progress;
    Status done;
    {
      const auto watch = notices.watch("hydrate", [&progress] { return sample_of(progress); });
      done = ashlar::hydrate(*volume, {bytes_per_second, false}, progress, stop);
    }
    TRY(end(volume->overlay()));
    TRY(std::move(done));
    return state_of(*volume);
  }

  Status resize(ByteCount size) override {
    TRY(begin());
    TRY(volumes_.resize(id_, *overlay_, size));
    return end(*overlay_);
  }

  Result<std::string> detach() override {
    TRY(begin());
    std::string path = TRY(volumes_.detach(id_, *overlay_));
    TRY(end(*overlay_));
    return path;
  }

 private:
  // Marks the overlay while it changes: a copy of the store that is made meanwhile may be torn
  // (host/adopt.h). The mark stays after a failure, as after a crash.
  Status begin() {
    incarnation_ = TRY(begin_life(volumes_.files(), volumes_.overlay_directory(id_)));
    return {};
  }
  Status end(Overlay& overlay) {
    TRY(overlay.close());
    return end_life(volumes_.files(), volumes_.overlay_directory(id_), incarnation_);
  }
  Result<std::unique_ptr<Volume>> open() { return volumes_.volume_over(id_, std::move(overlay_)); }

  Repo& repo_;
  Volumes& volumes_;
  const VolumeId id_;
  std::unique_ptr<Overlay> overlay_;
  std::uint64_t incarnation_ = 0;
};

// A volume that a server has open.
class VolumeThere : public VolumeAccess {
 public:
  VolumeThere(Repo& repo, Volumes& volumes, VolumeId id, Error is_busy)
      : repo_(repo),
        volumes_(volumes),
        id_(id),
        directory_(volumes.overlay_directory(id)),
        is_busy_(std::move(is_busy)) {}

  Result<VolumeState> describe() override { return request(DescribeVolume{}); }

  Result<CaptureReport> snapshot(const SnapshotVolume& how, Notices& /*notices*/,
                                 const std::stop_token& /*stop*/) override {
    CaptureReport report = TRY(request(how));
    report.record = TRY(repo_.snapshots().get(report.record.id));
    return report;
  }

  Result<VolumeState> hydrate(std::uint64_t bytes_per_second, Notices& notices,
                              const std::stop_token& stop) override {
    HydrateProgress progress;
    const auto watch = notices.watch("hydrate", [&progress] { return sample_of(progress); });
    VolumeState state = TRY(request(HydrateVolume{bytes_per_second}));
    progress.total_bytes = TRY(volumes_.catalog().get(id_)).size.value;
    while (state.hydrating) {
      if (stop.stop_requested())
        return Error(ErrorCode::kCancelled, "stopped waiting; the server goes on hydrating");
      progress.done_bytes =
          progress.total_bytes - std::min(progress.total_bytes.load(), state.absent_bytes.value);
      progress.fetched_bytes = state.fetched_bytes.value;
      std::this_thread::sleep_for(kPoll);
      state = TRY(ask(directory_, DescribeVolume{}));
    }
    if (!state.hydration_error.empty()) return Error(ErrorCode::kIo, state.hydration_error);
    return state;
  }

  Status resize(ByteCount size) override {
    TRY(request(ResizeVolume{size}));
    return {};
  }

  Result<std::string> detach() override { return TRY(request(DetachVolume{})).data; }

 private:
  // A process that takes no requests, such as another volume command, has the volume open for a moment only.
  template <class Request>
  Result<typename Request::Answer> request(const Request& request) {
    auto answer = ask(directory_, request);
    if (is(answer, ErrorCode::kNotFound) && !server_listens(directory_)) return is_busy_;
    return answer;
  }

  Repo& repo_;
  Volumes& volumes_;
  const VolumeId id_;
  const std::string directory_;
  const Error is_busy_;
};

}  // namespace

Result<std::unique_ptr<VolumeAccess>> VolumeAccess::of(Repo& repo, Volumes& volumes, VolumeId id) {
  TRY(volumes.catalog().get(id));
  auto overlay = volumes.open_overlay(id);
  if (overlay.ok())
    return std::unique_ptr<VolumeAccess>(std::make_unique<VolumeHere>(repo, volumes, id, overlay.take()));
  if (!is(overlay, ErrorCode::kBusy)) return overlay.error();
  return std::unique_ptr<VolumeAccess>(std::make_unique<VolumeThere>(repo, volumes, id, overlay.error()));
}

}  // namespace ashlar
