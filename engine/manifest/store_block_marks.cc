#include "manifest/store_block_marks.h"

namespace ashlar {

Result<std::vector<BlockMark>> StoreBlockMarks::block_marks(const Leaf& leaf) {
  using Ids = std::shared_ptr<const std::vector<BlockId>>;
  return block_marks_of(leaf, [this](const SegmentId& id) -> Result<Ids> {
    const auto segment = TRY(segments_.locate(id));
    return Ids(segment, &segment->directory.blocks);
  });
}

Status check_digest(const Leaf& leaf, BlockMarkReader& marks) {
  if (leaf_digest(TRY(marks.block_marks(leaf))) == leaf.digest) return {};
  return corrupt("a leaf's digest is not that of its blocks");
}

}  // namespace ashlar
