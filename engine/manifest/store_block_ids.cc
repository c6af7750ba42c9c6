#include "manifest/store_block_ids.h"

namespace ashlar {

Result<std::vector<BlockId>> StoreBlockIds::block_ids(const Leaf& leaf) {
  std::vector<BlockId> ids;
  ids.reserve(leaf.block_count());
  for (const LeafExtent& extent : leaf.extents) {
    if (extent.kind != ExtentKind::kData) {
      const BlockId mark =
          extent.kind == ExtentKind::kUnreadable ? unreadable_block_mark() : zero_block_mark();
      ids.insert(ids.end(), extent.block_count, mark);
      continue;
    }
    const auto segment = TRY(segments_.locate(leaf.segments[extent.segment]));
    const auto& blocks = segment->directory.blocks;
    if (extent.first_block + extent.block_count > blocks.size())
      return corrupt("an extent runs past its segment");
    const auto first = blocks.begin() + extent.first_block;
    ids.insert(ids.end(), first, first + extent.block_count);
  }
  return ids;
}

Status check_digest(const Leaf& leaf, BlockIdReader& ids) {
  if (leaf_digest(TRY(ids.block_ids(leaf))) == leaf.digest) return {};
  return corrupt("a leaf's digest is not that of its blocks");
}

}  // namespace ashlar
