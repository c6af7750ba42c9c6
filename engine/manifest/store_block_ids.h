// StoreBlockIds: the block ids of leaves, read from the directories of the segments that they name.
#pragma once

#include "manifest/diff.h"
#include "store/segments.h"

namespace ashlar {

// Returns the ids of a leaf's blocks. `segment_ids(segment)` returns an owning pointer to the block ids of a
// segment.
template <class SegmentIds>
Result<std::vector<BlockId>> block_ids_of(const Leaf& leaf, const SegmentIds& segment_ids) {
  std::vector<BlockId> ids;
  ids.reserve(leaf.block_count());
  for (const LeafExtent& extent : leaf.extents) {
    if (extent.kind != ExtentKind::kData) {
      const BlockId mark =
          extent.kind == ExtentKind::kUnreadable ? unreadable_block_mark() : zero_block_mark();
      ids.insert(ids.end(), extent.block_count, mark);
      continue;
    }
    const auto blocks = TRY(segment_ids(leaf.segments[extent.segment]));
    if (extent.first_block + extent.block_count > blocks->size())
      return corrupt("an extent runs past its segment");
    const auto first = blocks->begin() + extent.first_block;
    ids.insert(ids.end(), first, first + extent.block_count);
  }
  return ids;
}

// Reads the ids through a SegmentReader. Any number of threads.
class StoreBlockIds : public BlockIdReader {
 public:
  explicit StoreBlockIds(SegmentReader& segments) : segments_(segments) {}
  Result<std::vector<BlockId>> block_ids(const Leaf& leaf) override;

 private:
  SegmentReader& segments_;
};

// Returns kCorrupt when the digest of a leaf does not match the blocks that it names: a tree from another
// store may claim a content that it does not have.
Status check_digest(const Leaf& leaf, BlockIdReader& ids);

}  // namespace ashlar
