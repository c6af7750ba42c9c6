// Serving: volumes over a store whose reads can be delayed, counted and made to fail.
#pragma once

#include <atomic>

#include "flow/world.h"
#include "support/remote_objects.h"
#include "volume/volume.h"
#include "volume/warm_up.h"

namespace ashlar {

// The caches and pools of one process that serves volumes. Each Serving makes its own, so its caches start
// empty.
class Serving {
 public:
  explicit Serving(World& world) : remote(world.repo().objects()), snapshots_(world.repo().snapshots()) {
    config_ = world.repo().config();
    index_ = Index::open_in_memory(remote).take();
    EXPECT_TRUE(index_->catch_up().ok());
    segments_ = std::make_unique<SegmentReader>(remote, *index_);
    nodes_ = std::make_unique<MetaStore>(remote, *index_);
    frames_ = std::make_unique<FrameCache>(*segments_, FrameCache::kDefaultBytes, config_.frame_blocks);
    remote.reads = 0;
    remote.read_bytes = 0;
  }

  std::shared_ptr<const BaseImage> image(const SnapshotRecord& snapshot) {
    return std::make_shared<BaseImage>(*nodes_, *segments_, *frames_, snapshot);
  }
  // Creates a volume of the snapshot in the folder `name` of `directory`.
  std::unique_ptr<Volume> volume(const TemporaryDirectory& directory, const std::string& name,
                                 const SnapshotRecord& snapshot) {
    const std::string path = directory / name;
    std::filesystem::create_directory(path);
    auto overlay = Overlay::create(posix_file_system(), path, VolumeId{7}, snapshot.size, snapshot.id).take();
    return std::make_unique<Volume>(std::move(overlay), image(snapshot), gate);
  }
  std::unique_ptr<WarmUp> warm_up(Volume& volume, AccountId owner = {}) {
    return std::make_unique<WarmUp>(WarmParts{remote, *nodes_, *segments_, *frames_}, snapshots_, loads, gate,
                                    volume, volume.base(), config_.id, owner);
  }
  std::uint64_t fetched_frames() const { return frames_->fetched(); }

  RemoteObjects remote;
  FetchGate gate;
  BootPackLoads loads;

 private:
  const SnapshotCatalog& snapshots_;
  StoreConfig config_;
  std::unique_ptr<Index> index_;
  std::unique_ptr<SegmentReader> segments_;
  std::unique_ptr<MetaStore> nodes_;
  std::unique_ptr<FrameCache> frames_;
};

}  // namespace ashlar
