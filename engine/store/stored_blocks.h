// StoredBlocks: whether the store has, whole and to rely on, the blocks that a leaf names. Captures that keep
// leaves of a parent, copies and imports ask it.
//
// An answer is "yes" only after the directory was read and the frames of all these blocks are there. What it
// learned of a segment is kept (bounded), so a segment that is lost during a session may still count as
// stored; the session checks at its end that the packs which it leans on exist. One thread.
#pragma once

#include <vector>

#include "base/lru_cache.h"
#include "format/node_format.h"
#include "store/segments.h"

namespace ashlar {

// Returns, for each segment of the leaf, the blocks of it that the leaf's extents use.
std::vector<SegmentBlocks> blocks_used(const Leaf& leaf);

class StoredBlocks {
 public:
  StoredBlocks(SegmentReader& segments, LeanedPacks& leaned, DamagedPlaces damaged = DamagedPlaces::kLeftOut)
      : segments_(segments), leaned_(leaned), damaged_(damaged) {}

  // Returns whether all `blocks` of the segment are stored. Blocks in a damaged place are not; a place that
  // can't be read for another reason is an error.
  Result<bool> has(const SegmentId& id, const SegmentBlocks& blocks);
  Result<bool> has(const Leaf& leaf);

 private:
  static constexpr std::size_t kRememberedSegments = 65536;  // about 250 bytes each

  SegmentReader& segments_;
  LeanedPacks& leaned_;
  DamagedPlaces damaged_;
  LruCache<SegmentId, SegmentBlocks, IdHash> present_{kRememberedSegments};
};

}  // namespace ashlar
