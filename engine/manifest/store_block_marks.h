// StoreBlockMarks: the block marks of leaves, made of the directories of the segments that they name.
#pragma once

#include "codec/hash.h"
#include "manifest/diff.h"
#include "store/segments.h"

namespace ashlar {

// Returns the marks of a leaf's blocks. `segment_ids(segment)` returns an owning pointer to the block ids of
// a segment.
template <class SegmentIds>
Result<std::vector<BlockMark>> block_marks_of(const Leaf& leaf, const SegmentIds& segment_ids) {
  std::vector<BlockMark> marks;
  marks.reserve(leaf.block_count());
  for (const LeafExtent& extent : leaf.extents) {
    if (extent.kind != ExtentKind::kData) {
      const BlockMark mark =
          extent.kind == ExtentKind::kUnreadable ? unreadable_block_mark() : zero_block_mark();
      marks.insert(marks.end(), extent.block_count, mark);
      continue;
    }
    const auto blocks = TRY(segment_ids(leaf.segments[extent.segment]));
    if (extent.first_block + extent.block_count > blocks->size())
      return corrupt("an extent runs past its segment");
    for (std::size_t i = 0; i < extent.block_count; ++i)
      marks.push_back(mark_of((*blocks)[extent.first_block + i]));
  }
  return marks;
}

// Reads the ids of segments through a SegmentReader. Any number of threads.
class StoreBlockMarks : public BlockMarkReader {
 public:
  explicit StoreBlockMarks(SegmentReader& segments) : segments_(segments) {}
  Result<std::vector<BlockMark>> block_marks(const Leaf& leaf) override;

 private:
  SegmentReader& segments_;
};

// Returns kCorrupt when the digest of a leaf does not match the blocks that it names: a tree from another
// store may claim a content that it does not have.
Status check_digest(const Leaf& leaf, BlockMarkReader& marks);

}  // namespace ashlar
