#include "capture/leaf_draft.h"

#include <algorithm>

namespace ashlar {

std::vector<LeafDraft::Extent> draft_extents(std::span<const BlockState> blocks) {
  std::vector<LeafDraft::Extent> extents;
  for (const BlockState& block : blocks) {
    if (!extents.empty() && extents.back().kind == block.kind) {
      LeafDraft::Extent& last = extents.back();
      const bool follows = block.place.segment == last.first.segment &&
                           block.place.index == last.first.index + last.block_count;
      if (block.kind != ExtentKind::kData || follows) {
        ++last.block_count;
        continue;
      }
    }
    extents.push_back({block.kind, 1, block.kind == ExtentKind::kData ? block.place : BlockPlace{}});
  }
  return extents;
}

Leaf finish_leaf(LeafDraft draft, const Admission& admission) {
  Leaf leaf;
  leaf.region_mask = draft.region_mask;
  leaf.regions = std::move(draft.regions);
  leaf.digest = draft.digest;
  for (const LeafDraft::Extent& extent : draft.extents) {
    LeafExtent finished{extent.kind, extent.block_count, 0, 0};
    if (extent.kind == ExtentKind::kData) {
      const SegmentId id = admission.id_of(extent.first.segment);
      const auto known = std::find(leaf.segments.begin(), leaf.segments.end(), id);
      finished.segment = static_cast<std::uint16_t>(known - leaf.segments.begin());
      finished.first_block = extent.first.index;
      if (known == leaf.segments.end()) leaf.segments.push_back(id);
    }
    // Two handles may stand for the same segment, so only their ids show that two extents are neighbours.
    if (!leaf.extents.empty()) {
      LeafExtent& last = leaf.extents.back();
      const bool follows = finished.kind == ExtentKind::kData && last.kind == ExtentKind::kData &&
                           last.segment == finished.segment &&
                           last.first_block + last.block_count == finished.first_block;
      if (follows) {
        last.block_count = static_cast<std::uint16_t>(last.block_count + finished.block_count);
        continue;
      }
    }
    leaf.extents.push_back(finished);
  }
  return leaf;
}

}  // namespace ashlar
