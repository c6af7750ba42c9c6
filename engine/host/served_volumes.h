// ServedVolumes: the volumes that this process serves, by name. When it serves all volumes of a host, it
// takes requests to serve more, and to let go of one, through the control socket in the folder of overlays.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "host/served_volume.h"

namespace ashlar {

class ServedVolumes : public ExportList {
 public:
  struct Hydration {
    bool wanted = false;
    std::uint64_t bytes_per_second = 0;  // of each volume; 0: no limit
  };
  ServedVolumes(Repo& repo, Volumes& volumes, Notices& notices, Hydration hydration, std::stop_token stop)
      : parts_{repo, volumes, notices, pools_, captures_, std::move(stop)}, hydration_(hydration) {}

  // Exports a snapshot, which can only be read.
  Status add_snapshot(SnapshotId id);
  // Opens and exports a volume; clients find it when this returns. Does nothing when it is served already.
  Status open(VolumeId id);
  // Ends the serving of a volume. Waits for a client that has just gone; fails with kBusy while one stays
  // connected, with kNotFound when the volume is not served.
  Status close(VolumeId id);
  // Opens every volume with an overlay on this host. Warns of one that can't be opened, and leaves it out.
  // Fails with kBusy when another process serves all of them.
  Status serve_all();
  // Takes requests from now on, if serve_all() was called; `address` is the URI of the NBD server.
  Status listening_on(std::string address);
  // Ends everything, after the NBD server has stopped. Returns the first error.
  Status close_all();

  // Calls `use` with each served volume; none is opened or closed meanwhile.
  template <class Use>
  void for_each(Use use) {
    const std::lock_guard lock(mutex_);
    for (const auto& [id, served] : volumes_) use(id, served->volume());
  }
  std::uint64_t fetched_frames() const { return parts_.volumes.images().fetched_frames(); }

  std::vector<std::string> names() override;
  // Finds an export by id, or by id and incarnation ("vol-…@3"). The latter is refused once writes that its
  // client was told of may be gone. The empty name finds a single export.
  Result<std::shared_ptr<Export>> find(const std::string& name) override;

 private:
  std::string answer(const std::string& line);
  Result<ServerState> handle(const DescribeServer& request);
  Result<ServedAt> handle(const OpenVolume& request);
  Result<Done> handle(const CloseVolume& request);
  Result<Done> handle(const SnapshotTogether& request);
  Status open_all();
  bool let_go(VolumeId id);
  bool is_incarnation(const std::string& name, const std::string& number);
  std::string uri_of(VolumeId id);

  ExportPools pools_;
  std::mutex captures_;
  const ServingParts parts_;
  const Hydration hydration_;
  std::mutex change_mutex_;  // one open() or close() at a time
  std::mutex mutex_;         // guards what stands below
  std::string address_;
  std::map<VolumeId, std::unique_ptr<ServedVolume>> volumes_;
  std::map<std::string, std::shared_ptr<Export>> exports_;
  std::set<VolumeId> left_out_;   // by open_all(), while one thread starts the server
  std::set<std::string> unread_;  // the same: records that open_all() warned of
  std::unique_ptr<FileLock> lock_;
  std::unique_ptr<ControlSocket> control_;
};

}  // namespace ashlar
