// Snapshots of open volumes: the guest's changes become a snapshot, and the volume stands on it from then on.
//
// The guest goes on writing meanwhile. Snapshots of several volumes are of one instant.
#pragma once

#include <stop_token>
#include <vector>

#include "capture/capture.h"
#include "host/volumes.h"

namespace ashlar {

struct OpenVolumeToCapture {
  VolumeId id;
  Volume* volume = nullptr;
  CaptureOptions options;
};

// Makes a snapshot of each volume and returns the reports, ordered by volume id. When one fails, those before
// it are made. Fails with kUnsupported for a volume that is detached from the store.
Result<std::vector<CaptureReport>> snapshot_together(Repo& repo, Volumes& volumes,
                                                     std::vector<OpenVolumeToCapture> wanted,
                                                     CaptureProgress& progress, const std::stop_token& stop);
// Does the same for one volume.
Result<CaptureReport> snapshot_one(Repo& repo, Volumes& volumes, OpenVolumeToCapture wanted,
                                   CaptureProgress& progress, const std::stop_token& stop);

}  // namespace ashlar
