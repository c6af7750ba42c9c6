#include "capture/leaf_assembly.h"

#include <algorithm>
#include <bit>

namespace ashlar {
namespace {

std::vector<LeafExtent> one_extent_a_block(const Leaf& leaf) {
  std::vector<LeafExtent> blocks;
  blocks.reserve(kLeafBlocks);
  for (LeafExtent extent : leaf.extents) {
    const bool data = extent.kind == ExtentKind::kData;
    for (std::uint16_t left = std::exchange(extent.block_count, std::uint16_t{1}); left > 0; --left) {
      blocks.push_back(extent);
      if (data) ++extent.first_block;
    }
  }
  return blocks;
}

// Returns the kind of a block that reads as zeros. It is a hole only where the source reported a hole.
ExtentKind kind_of_zeros(BlockOrigin origin) {
  return origin == BlockOrigin::kUnallocated ? ExtentKind::kUnallocated : ExtentKind::kZero;
}

bool reads_as_zeros(ExtentKind kind) { return kind == ExtentKind::kZero || kind == ExtentKind::kUnallocated; }

}  // namespace

LeafAssembly::LeafAssembly(std::shared_ptr<const PlannedLeaf> planned)
    : planned_(std::move(planned)),
      blocks_(planned_->origins.size()),
      marks_(blocks_.size()),
      region_hashes_(kLeafRegions) {
  if (planned_->parent) parent_blocks_ = one_extent_a_block(*planned_->parent);
  for (std::uint32_t i = 0; i < block_count(); ++i) {
    const BlockOrigin origin = planned_->origins[i];
    if (origin == BlockOrigin::kParent) {
      take_parents(i, 1);
    } else {
      blocks_[i].state.kind = kind_of_zeros(origin);
    }
  }
}

// Takes blocks [first, first + count) and the hashes of their regions from the parent.
void LeafAssembly::take_parents(std::uint32_t first, std::uint32_t count) {
  for (std::uint32_t i = first; i < first + count; ++i) {
    take_block_of_parent(i);
    const std::size_t region = i / kRegionBlocks;
    if (!planned_->parent) continue;
    if (const RegionHash* hash = planned_->parent->region(region)) {
      region_mask_ |= std::uint64_t{1} << region;
      region_hashes_[region] = *hash;
    }
  }
}

void LeafAssembly::take_block_of_parent(std::uint32_t block) {
  blocks_[block].from_parent = true;
  blocks_[block].bytes = nullptr;
  blocks_[block].state.kind = kind_in_parent(block);
}

// Returns the kind of the parent's block. Where the parent has no leaf node, its subtree is a constant.
ExtentKind LeafAssembly::kind_in_parent(std::uint32_t block) const {
  if (block < parent_blocks_.size()) return parent_blocks_[block].kind;
  return planned_->parent ? ExtentKind::kUnallocated : extent_kind(planned_->parent_constant);
}

// Takes a block that was read as zeros. Where the map calls it the parent's and the parent's reads as zeros,
// it is of the parent's kind: reading a gap must not turn a hole into zeros.
void LeafAssembly::take_zeros(std::uint32_t block) {
  const BlockOrigin origin = planned_->origins[block];
  if (origin == BlockOrigin::kParent && reads_as_zeros(kind_in_parent(block)))
    return take_block_of_parent(block);
  blocks_[block].state.kind = kind_of_zeros(origin);
}

void LeafAssembly::take(HashedRun run) {
  for (std::uint32_t region = 0; region < run.regions.size(); ++region) take_region(run, region);
  runs_.push_back(std::move(run));
}

void LeafAssembly::take_region(const HashedRun& run, std::uint32_t region_in_run) {
  const HashedRegion& region = run.regions[region_in_run];
  const auto in_run = static_cast<std::uint32_t>(region_in_run * kRegionBlocks);
  const std::uint32_t first = run.first_block + in_run;
  const std::uint32_t count = std::min<std::uint32_t>(kRegionBlocks, run.block_count() - in_run);
  if (region.state == RegionState::kSame) {
    same_blocks_ += count;
    take_parents(first, count);
    return;
  }
  // The bytes that were read count, also where the map calls the region the parent's.
  const std::uint64_t bit = std::uint64_t{1} << (first / kRegionBlocks);
  region_mask_ &= ~bit;
  if (region.has_hash) {
    region_mask_ |= bit;
    region_hashes_[first / kRegionBlocks] = region.hash;
  }
  for (std::uint32_t i = 0; i < count; ++i) {
    const BlockMark& mark = run.marks[in_run + i];
    Block& block = blocks_[first + i];
    marks_[first + i] = mark;
    block.from_parent = false;
    if (mark == unchanged_block_mark()) {
      CHECK(first + i < parent_blocks_.size());
      take_block_of_parent(first + i);
    } else if (mark == zero_block_mark()) {
      take_zeros(first + i);
    } else if (mark == unreadable_block_mark()) {
      block.state.kind = ExtentKind::kUnreadable;
    } else {
      block.state.kind = ExtentKind::kData;
      block.bytes = run.run.bytes.data() + (in_run + i) * kBlockBytes;
    }
  }
}

void LeafAssembly::cut(std::uint32_t count) {
  blocks_.resize(count);
  marks_.resize(count);
}

bool LeafAssembly::is_parents() const {
  if (parent_blocks_.size() != blocks_.size() || blocks_.empty()) return false;
  for (std::size_t i = 0; i < blocks_.size(); ++i) {
    if (blocks_[i].from_parent) continue;
    const ExtentKind kind = blocks_[i].state.kind;
    if (kind == ExtentKind::kData || kind != parent_blocks_[i].kind) return false;
  }
  return region_mask_ == planned_->parent->region_mask;
}

// A block that could not be read says nothing about the map.
bool LeafAssembly::map_missed() const {
  for (std::uint32_t i = 0; i < block_count(); ++i) {
    const Block& block = blocks_[i];
    if (planned_->origins[i] != BlockOrigin::kParent || block.from_parent) continue;
    if (block.state.kind != ExtentKind::kUnreadable) return true;
  }
  return false;
}

Result<LeafDraft> LeafAssembly::draft(Admission& admission) {
  TRY(admit(admission));
  LeafDraft draft;
  std::vector<BlockState> states;
  states.reserve(blocks_.size());
  for (const Block& block : blocks_) {
    states.push_back(block.state);
    if (block.state.kind == ExtentKind::kData && !admission.is_sealed(block.state.place.segment)) {
      draft.waits_for = block.state.place.segment;
    }
  }
  draft.extents = draft_extents(states);
  draft.digest = leaf_digest(marks_);
  draft.region_mask = region_mask_;
  for (std::uint64_t mask = region_mask_; mask != 0; mask &= mask - 1) {
    draft.regions.push_back(region_hashes_[static_cast<std::size_t>(std::countr_zero(mask))]);
  }
  return draft;
}

// The directories of the parent's segments are loaded first, so that admission finds two sorts of blocks
// without a hook: those that moved within the leaf, and the unchanged ones of a region (64 KiB) in which a
// neighbour changed.
Status LeafAssembly::resolve(Admission& admission, SegmentReader& segments) {
  if (!planned_->parent) return {};
  std::vector<SegmentHandle> handles;
  std::vector<std::shared_ptr<const LocatedSegment>> located;
  for (const SegmentId& id : planned_->parent->segments) {
    handles.push_back(TRY(admission.bring_in(id).with_context("the parent snapshot is damaged")));
    located.push_back(TRY(segments.locate(id)));
  }
  for (std::uint32_t i = 0; i < std::min(blocks_.size(), parent_blocks_.size()); ++i) {
    Block& block = blocks_[i];
    const LeafExtent& extent = parent_blocks_[i];
    if (block.from_parent && block.state.kind == ExtentKind::kUnreadable) marks_[i] = unreadable_block_mark();
    if (extent.kind != ExtentKind::kData || block.state.kind != ExtentKind::kData) continue;
    const auto& ids = located[extent.segment]->directory.blocks;
    if (extent.first_block >= ids.size())
      return corrupt("the parent snapshot is damaged: an extent runs past its segment");
    const BlockMark of_parent = mark_of(ids[extent.first_block]);
    if (!block.from_parent && marks_[i] == of_parent) {
      take_block_of_parent(i);
      ++same_blocks_;
    }
    if (!block.from_parent) continue;
    block.state.place = {handles[extent.segment], extent.first_block};
    marks_[i] = of_parent;
  }
  take_region_hashes_of_parent();
  return {};
}

// Takes the parent's hash for each region that has none of its own, because it was not read as a whole, when
// all of its blocks are the parent's.
void LeafAssembly::take_region_hashes_of_parent() {
  for (std::size_t first = 0; first < blocks_.size(); first += kRegionBlocks) {
    const std::size_t region = first / kRegionBlocks;
    const RegionHash* hash = planned_->parent->region(region);
    if (hash == nullptr || (region_mask_ >> region & 1U) != 0) continue;
    const auto begin = blocks_.begin() + static_cast<std::ptrdiff_t>(first);
    const auto end =
        blocks_.begin() + static_cast<std::ptrdiff_t>(std::min(first + kRegionBlocks, blocks_.size()));
    if (!std::all_of(begin, end, [](const Block& block) { return block.from_parent; })) continue;
    region_mask_ |= std::uint64_t{1} << region;
    region_hashes_[region] = *hash;
  }
}

Status LeafAssembly::admit(Admission& admission) {
  std::vector<std::size_t> at;
  std::vector<BlockId> ids;
  std::vector<const std::byte*> bytes;
  for (std::size_t i = 0; i < blocks_.size(); ++i) {
    if (blocks_[i].bytes == nullptr || blocks_[i].state.kind != ExtentKind::kData) continue;
    at.push_back(i);
    ids.push_back(id_of(marks_[i]));
    bytes.push_back(blocks_[i].bytes);
  }
  std::vector<BlockPlace> places(ids.size());
  TRY(admission.admit(ids, bytes, places));
  for (std::size_t i = 0; i < at.size(); ++i) blocks_[at[i]].state.place = places[i];
  return {};
}

void LeafAssembly::count(BlockCounts& counts) const {
  for (const Block& block : blocks_) counts.add(block.state.kind, 1);
}

}  // namespace ashlar
