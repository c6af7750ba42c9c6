#include "manifest/store_block_ids.h"

namespace ashlar {

Result<std::vector<BlockId>> StoreBlockIds::block_ids(const Leaf& leaf) {
  using Ids = std::shared_ptr<const std::vector<BlockId>>;
  return block_ids_of(leaf, [this](const SegmentId& id) -> Result<Ids> {
    const auto segment = TRY(segments_.locate(id));
    return Ids(segment, &segment->directory.blocks);
  });
}

Status check_digest(const Leaf& leaf, BlockIdReader& ids) {
  if (leaf_digest(TRY(ids.block_ids(leaf))) == leaf.digest) return {};
  return corrupt("a leaf's digest is not that of its blocks");
}

}  // namespace ashlar
