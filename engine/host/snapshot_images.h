// SnapshotImages: snapshots of a store that are read as disks, and the cache of frames that they share.
#pragma once

#include <cstdint>
#include <memory>

#include "repo/repo.h"
#include "store/frame_cache.h"
#include "volume/base_image.h"

namespace ashlar {

class SnapshotImages {
 public:
  // `repo` outlives this object and the images.
  explicit SnapshotImages(Repo& repo, std::size_t cache_bytes = FrameCache::kDefaultBytes)
      : repo_(repo), cache_bytes_(cache_bytes) {}

  // Opens the index, which otherwise happens when a call needs it. Once it is open, any thread may open
  // snapshots.
  Status prepare();
  Result<std::shared_ptr<const BaseImage>> open(SnapshotId id);
  Result<FrameCache*> frames();
  // Returns the number of frames that were read from packs so far.
  std::uint64_t fetched_frames() const { return frames_ ? frames_->fetched() : 0; }

 private:
  Repo& repo_;
  const std::size_t cache_bytes_;
  std::unique_ptr<FrameCache> frames_;
};

}  // namespace ashlar
