// BaseImage: a snapshot as blocks that can be read in any order, through a cache of frames that all volumes
// share. It is the base of a volume.
//
// A read returns the right bytes or an error: a block that the snapshot lost (UNREADABLE), and a frame that
// does not match its block ids, are kCorrupt. Any number of threads may read.
#pragma once

#include <cstdint>
#include <vector>

#include "format/snapshot_record.h"
#include "manifest/tree.h"
#include "store/frame_cache.h"
#include "store/segments.h"

namespace ashlar {

// Returns the blocks that hold the bytes [offset, offset + bytes), including blocks that they cover in part.
constexpr BlockRange blocks_of(ByteOffset offset, ByteCount bytes) {
  const Lba first = lba_of(offset);
  return {first, blocks_covering(ByteCount{offset.value + bytes.value}) - BlockCount{first.value}};
}

// A stretch of blocks of one kind.
struct BaseRun {
  ExtentKind kind = ExtentKind::kUnallocated;
  BlockCount count;
};

class BaseImage {
 public:
  BaseImage(NodeReader& nodes, SegmentReader& segments, FrameCache& frames, const SnapshotRecord& snapshot);

  SnapshotId id() const { return id_; }
  ByteCount size() const { return size_; }
  const TreeRoot& root() const { return root_; }

  // Fills `out` (range.count × 4096 bytes). Blocks past the snapshot's end, and the rest of a short last
  // block, are zeros.
  Status read(BlockRange range, MutableByteSpan out) const;
  // Returns the kinds of the blocks of a range, equal neighbours merged: the first `most` runs of the range
  // at most. Blocks past the snapshot's end are unallocated.
  Result<std::vector<BaseRun>> runs(BlockRange range, std::size_t most) const;

 private:
  Status read_leaf(LeafCursor& cursor, const LeafSpan& span, BlockRange range, MutableByteSpan out) const;
  Status read_frames(const LocatedSegment& segment, std::size_t first, std::size_t count,
                     MutableByteSpan out) const;
  Status read_data(const SegmentId& id, std::size_t first, std::size_t count, MutableByteSpan out) const;

  NodeReader& nodes_;
  SegmentReader& segments_;
  FrameCache& frames_;
  SnapshotId id_;
  ByteCount size_;
  TreeRoot root_;
};

}  // namespace ashlar
