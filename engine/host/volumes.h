// Volumes: the volumes of a store on this host: their records in the store, and their overlays in the host
// directory.
#pragma once

#include <memory>
#include <string>

#include "catalog/volumes.h"
#include "host/snapshot_images.h"
#include "repo/repo.h"
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

// Decides about a volume whose overlay is not in this host directory.
enum class BlocksElsewhere : unsigned char { kRefuse, kGiveUp };

class Volumes {
 public:
  // `repo` outlives the volumes.
  explicit Volumes(Repo& repo, std::size_t cache_bytes = FrameCache::kDefaultBytes)
      : repo_(repo), catalog_(repo.objects()), images_(repo, cache_bytes) {}

  VolumeCatalog& catalog() { return catalog_; }
  // Returns the snapshots that volumes read from.
  SnapshotImages& images() { return images_; }
  FileSystem& files() const { return repo_.host().files(); }
  std::string overlay_directory(VolumeId id) const { return repo_.host().overlay(id); }
  Result<bool> has_overlay(VolumeId id) const;
  // Reads what other processes published since the index was opened.
  Status catch_up();

  // Creates a volume, which is visible when this returns. Takes the same time for every size.
  Result<VolumeRecord> create(const VolumeSpec& spec);
  // Opens a volume. Fails with kBusy, kind kVolumeServed, while another process has it open.
  Result<std::unique_ptr<Volume>> open(VolumeId id);
  // Opens the overlay alone, which needs no index. Fails like open().
  Result<std::unique_ptr<Overlay>> open_overlay(VolumeId id);
  // Makes a volume of its open overlay.
  Result<std::unique_ptr<Volume>> volume_over(VolumeId id, std::unique_ptr<Overlay> overlay);
  // Returns the reads that are expected of a volume that is about to be served; nullptr when it does not need
  // the store.
  Result<std::unique_ptr<WarmUp>> warm_up(VolumeId id, Volume& volume);
  // Makes a volume larger. `overlay` is the volume's, open.
  Status resize(VolumeId id, Overlay& overlay, ByteCount size);
  // Notes in the record that the volume does not need the store, and returns the path of its raw file. Fails
  // with kInvalid, kind kVolumeNotWhole, while a block is in the store only.
  Result<std::string> detach(VolumeId id, Overlay& overlay);
  // Removes overlay and record. Fails with kBusy, kind kVolumeServed, while a process has the volume open;
  // with kInvalid when there is no overlay here, unless it is given up.
  Status remove(VolumeId id, BlocksElsewhere elsewhere = BlocksElsewhere::kRefuse);

 private:
  Status remove_overlay_files(VolumeId id);
  void take_back_overlay(VolumeId id);
  Status create_overlay(const VolumeRecord& record);
  Error is_elsewhere(VolumeId id) const;

  Repo& repo_;
  VolumeCatalog catalog_;
  SnapshotImages images_;
  FetchGate gate_;
  BootPackLoads boot_packs_;
};

}  // namespace ashlar
