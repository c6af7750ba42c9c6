// ServedVolume: a volume that this process serves: open, exported, hydrated, and reachable for verbs through
// the socket `control` in its overlay directory.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "control.h"
#include "host/volume_host.h"
#include "serve/volume_export.h"

namespace ashlar {

class ServedVolume {
 public:
  // `captures`: one snapshot of any volume of the process at a time. All outlive this.
  ServedVolume(VolumeHost& host, VolumeId id, std::shared_ptr<Volume> volume, ExportPools& pools,
               std::mutex& captures, std::stop_token stop);
  ~ServedVolume();

  // Before the first client: expects what earlier servings read first. From now on it answers verbs.
  Status start();
  // Fetches what is absent, in the background. While that runs, another call changes nothing.
  void start_hydrating(std::uint64_t bytes_per_second);
  // No verb and no fetching any more, and everything durable.
  Status close();

  VolumeId id() const { return id_; }
  // Of VolumeHost::begin_serving().
  std::uint64_t incarnation() const { return incarnation_; }
  const std::shared_ptr<Export>& exported() const { return export_; }
  Volume& volume() const { return *volume_; }

 private:
  Result<Json> answer(const Json& request);
  Result<Json> snapshot(const Json& request);
  Json state() const;

  VolumeHost& host_;
  const VolumeId id_;
  std::uint64_t incarnation_ = 0;
  std::shared_ptr<Volume> volume_;
  std::shared_ptr<Export> export_;
  std::mutex& captures_;
  const std::stop_token stop_;
  std::unique_ptr<ControlServer> control_;
  std::atomic<bool> hydrating_{false};
  mutable std::mutex hydration_mutex_;
  std::string hydration_error_;  // of the last one, empty when it went well
  std::jthread hydrator_;
  std::unique_ptr<WarmUp> warm_up_;
  std::jthread warmer_;
};

}  // namespace ashlar
