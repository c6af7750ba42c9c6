#include "store/stored_blocks.h"

#include "store/place_errors.h"

namespace ashlar {

std::vector<SegmentBlocks> blocks_used(const Leaf& leaf) {
  std::vector<SegmentBlocks> used(leaf.segments.size());
  for (const LeafExtent& extent : leaf.extents) {
    if (extent.kind == ExtentKind::kData)
      used[extent.segment] |= block_set(extent.first_block, extent.block_count);
  }
  return used;
}

Result<bool> StoredBlocks::has(const SegmentId& id, const SegmentBlocks& blocks) {
  if (const auto* present = present_.get(id)) return (blocks & ~*present).none();
  const auto sound = segments_.locate_sound(id, leaned_, damaged_);
  if (!sound.ok()) {
    if (is_not_to_rely_on(sound.error())) return false;
    return sound.error();
  }
  present_.put(id, sound.value().present);
  return (blocks & ~sound.value().present).none();
}

Result<bool> StoredBlocks::has(const Leaf& leaf) {
  const std::vector<SegmentBlocks> used = blocks_used(leaf);
  for (std::size_t i = 0; i < used.size(); ++i) {
    if (!TRY(has(leaf.segments[i], used[i]))) return false;
  }
  return true;
}

}  // namespace ashlar
