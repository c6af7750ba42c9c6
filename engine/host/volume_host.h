// VolumeHost: the volumes of a store on this host: their records in the store, their overlays beside it
// (<store>/overlays/<volume id>/), and the cache of frames that they share.
#pragma once

#include <memory>
#include <string>

#include "capture/capture.h"
#include "catalog/volumes.h"
#include "repo/repo.h"
#include "store/frame_cache.h"
#include "volume/volume.h"
#include "volume/warm_up.h"

namespace ashlar {

struct VolumeSpec {
  SnapshotId snapshot;
  ByteCount size;  // 0: the snapshot's
  std::string name;
  Tags tags;
  AccountId owner;  // value 0: the store's own account
};

class VolumeHost {
 public:
  // Volumes of an open store in its directory. `files` outlives them.
  VolumeHost(FileSystem& files, std::unique_ptr<Repo> repo,
             std::size_t cache_bytes = FrameCache::kDefaultBytes);

  Repo& repo() { return *repo_; }
  VolumeCatalog& catalog() { return catalog_; }
  std::string overlay_directory(VolumeId id) const;
  Result<bool> has_overlay(VolumeId id) const;
  // Opens the index, which else happens when a call needs it. From then on any thread may open volumes.
  Status prepare();
  // Learns of what other processes captured meanwhile.
  Status catch_up();
  // The folder of all overlays of this host; made when it is missing.
  Result<std::string> make_overlays_directory();

  // Visible when it returns. O(1) in the snapshot's size.
  Result<VolumeRecord> create(const VolumeSpec& spec);
  // kBusy while another process has it open.
  Result<std::unique_ptr<Volume>> open_volume(VolumeId id);
  // The first reads of a volume of this host that is about to be served; null when it needs no store.
  Result<std::unique_ptr<WarmUp>> warm_up(VolumeId id, Volume& volume);
  // Frames that came from packs since this was opened, for all volumes.
  std::uint64_t fetched_frames() const { return frames_ ? frames_->fetched() : 0; }
  // Before a volume is served, and after its overlay was closed. The number tells one life of the volume from
  // the next: it grows when a server died meanwhile, because writes that it had answered and that were not
  // flushed are gone then. A client that goes on with the old number must not go on at all.
  Result<std::uint64_t> begin_serving(VolumeId id);
  Status end_serving(VolumeId id, std::uint64_t incarnation);
  // A snapshot alone, to be read.
  Result<std::shared_ptr<const BaseImage>> open_snapshot(SnapshotId id);
  // The guest's changes become a snapshot, and the volume stands on it from then on. Not while writes are
  // held back by anybody: the guest goes on.
  Result<CaptureReport> snapshot(VolumeId id, Volume& volume, CaptureOptions options,
                                 CaptureProgress& progress, const std::stop_token& stop);
  // The same of several volumes, all of one instant. When one fails, those before it are made.
  struct Wanted {
    VolumeId id;
    Volume* volume = nullptr;
    CaptureOptions options;
  };
  Result<std::vector<CaptureReport>> snapshot_together(std::vector<Wanted> wanted, CaptureProgress& progress,
                                                       const std::stop_token& stop);
  // Larger only. `overlay` is the volume's, open.
  Status resize(VolumeId id, Overlay& overlay, ByteCount size);
  Result<std::unique_ptr<Overlay>> open_overlay(VolumeId id);
  // Says in the record that the store is not needed any more, once that is so. The path of the raw file.
  Result<std::string> detach(VolumeId id, Overlay& overlay);
  Status remove(VolumeId id);

 private:
  Result<FrameCache*> frames();

  Result<CaptureReport> snapshot_view(Wanted wanted, std::unique_ptr<SnapshotView> view,
                                      CaptureProgress& progress, const std::stop_token& stop);
  Status make_durable_directory(const std::string& parent, const std::string& path);
  Status remove_overlay(VolumeId id);
  Status write_incarnation(VolumeId id, const std::string& text);

  FileSystem& files_;
  std::unique_ptr<Repo> repo_;
  VolumeCatalog catalog_;
  const std::size_t cache_bytes_;
  std::unique_ptr<FrameCache> frames_;
  FetchGate gate_;
  BootPackLoads boot_packs_;
};

}  // namespace ashlar
