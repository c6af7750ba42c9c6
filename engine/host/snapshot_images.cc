#include "host/snapshot_images.h"

namespace ashlar {

Status SnapshotImages::prepare() {
  TRY(frames());
  return {};
}

Result<FrameCache*> SnapshotImages::frames() {
  if (!frames_) {
    frames_ = std::make_unique<FrameCache>(*TRY(repo_.segments()), cache_bytes_, repo_.config().frame_blocks);
  }
  return frames_.get();
}

Result<std::shared_ptr<const BaseImage>> SnapshotImages::open(SnapshotId id) {
  const SnapshotRecord record = TRY(repo_.snapshots().get(id));
  FrameCache* const cache = TRY(frames());
  NodeReader* const nodes = TRY(repo_.nodes());
  SegmentReader* const segments = TRY(repo_.segments());
  return std::shared_ptr<const BaseImage>(std::make_shared<BaseImage>(*nodes, *segments, *cache, record));
}

}  // namespace ashlar
