// ServedVolume: a volume that this process serves: open, exported, hydrated, and reachable through the
// control socket in its overlay directory. Internal to the module.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "base/notices.h"
#include "host/control_messages.h"
#include "host/volumes.h"
#include "serve/volume_export.h"

namespace ashlar {

// The parts of a process that its served volumes share; they outlive the volumes.
struct ServingParts {
  Repo& repo;
  Volumes& volumes;
  Notices& notices;
  ExportPools& pools;
  std::mutex& captures;  // held for a snapshot of any volume
  std::stop_token stop;
};

class ServedVolume {
 public:
  ServedVolume(const ServingParts& parts, VolumeId id, std::shared_ptr<Volume> volume);
  ~ServedVolume();

  // Prepares for the first client: expects what earlier servings read first, and answers requests from then
  // on.
  Status start();
  // Fetches in the background what is absent. Does nothing while a fetch runs. A failure, also to start the
  // thread, is a warning and stays in the state of the volume.
  void start_hydrating(std::uint64_t bytes_per_second);
  // Ends the control socket and all fetching, and makes the guest's data durable.
  Status close();

  VolumeId id() const { return id_; }
  // Returns the number of this life of the volume (host/incarnation.h).
  std::uint64_t incarnation() const { return incarnation_; }
  const std::shared_ptr<Export>& exported() const { return export_; }
  Volume& volume() const { return *volume_; }

 private:
  std::string answer(const std::string& line);
  Result<VolumeState> handle(const DescribeVolume& request);
  Result<CaptureReport> handle(const SnapshotVolume& request);
  Result<VolumeState> handle(const HydrateVolume& request);
  Result<VolumeState> handle(const ResizeVolume& request);
  Result<DetachedVolume> handle(const DetachVolume& request);
  VolumeState state() const;
  void hydration_ended(const Status& done);

  const ServingParts parts_;
  const VolumeId id_;
  const std::string directory_;
  std::uint64_t incarnation_ = 0;
  std::shared_ptr<Volume> volume_;
  std::shared_ptr<Export> export_;
  std::unique_ptr<ControlSocket> control_;
  std::atomic<bool> hydrating_{false};
  mutable std::mutex hydration_mutex_;
  std::string hydration_error_;  // of the last one, empty when it went well
  std::jthread hydrator_;
  std::unique_ptr<WarmUp> warm_up_;
  std::jthread warmer_;
};

}  // namespace ashlar
