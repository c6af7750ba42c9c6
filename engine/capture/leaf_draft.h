// A leaf while its newest blocks are still in a segment without an id. finish_leaf() turns it into the
// canonical Leaf once every segment that it names is sealed.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "format/node_format.h"
#include "store/admission.h"

namespace ashlar {

// What the assembler found a block to be.
struct BlockState {
  ExtentKind kind = ExtentKind::kUnallocated;
  BlockPlace place;  // of kData
};

struct LeafDraft {
  struct Extent {
    ExtentKind kind = ExtentKind::kUnallocated;
    std::uint16_t block_count = 0;
    BlockPlace first;
  };
  std::vector<Extent> extents;
  std::uint64_t region_mask = 0;
  std::vector<RegionHash> regions;
  ContentDigest digest;
  std::optional<SegmentHandle> waits_for;  // the open segment that holds its newest blocks
};

std::vector<LeafDraft::Extent> draft_extents(std::span<const BlockState> blocks);
Leaf finish_leaf(LeafDraft draft, const Admission& admission);

// Blocks of a leaf or of a volume by what they are.
struct BlockCounts {
  std::array<std::uint64_t, 5> of_kind{};  // by ExtentKind

  void add(ExtentKind kind, std::uint64_t count) { of_kind[static_cast<std::size_t>(kind)] += count; }
  void add(const Leaf& leaf) {
    for (const LeafExtent& extent : leaf.extents) add(extent.kind, extent.block_count);
  }
  BlockCount count(ExtentKind kind) const { return BlockCount{of_kind[static_cast<std::size_t>(kind)]}; }
};

constexpr ExtentKind extent_kind(ChildKind constant) {
  return constant == ChildKind::kZero ? ExtentKind::kZero : ExtentKind::kUnallocated;
}

}  // namespace ashlar
