// VolumeAccess: one volume for one operation, wherever it is open. A volume that no process has open is
// opened here; one that a server has open is reached through the server's control socket.
#pragma once

#include <memory>
#include <stop_token>

#include "base/notices.h"
#include "capture/capture.h"
#include "host/control_messages.h"
#include "host/volumes.h"

namespace ashlar {

class VolumeAccess {
 public:
  // Finds out where the volume is open. Fails with kNotFound for a volume that the store does not have. When
  // a process has it open that takes no requests, the methods fail with kBusy, kind kVolumeServed.
  static Result<std::unique_ptr<VolumeAccess>> of(Repo& repo, Volumes& volumes, VolumeId id);

  VolumeAccess() = default;
  VolumeAccess(const VolumeAccess&) = delete;
  VolumeAccess& operator=(const VolumeAccess&) = delete;
  virtual ~VolumeAccess() = default;

  virtual Result<VolumeState> describe() = 0;
  virtual Result<CaptureReport> snapshot(const SnapshotVolume& how, Notices& notices,
                                         const std::stop_token& stop) = 0;
  // Fetches every absent block. A server goes on with it when the wait is stopped (kCancelled).
  virtual Result<VolumeState> hydrate(std::uint64_t bytes_per_second, Notices& notices,
                                      const std::stop_token& stop) = 0;
  virtual Status resize(ByteCount size) = 0;
  // Returns the path of the raw file.
  virtual Result<std::string> detach() = 0;
};

}  // namespace ashlar
