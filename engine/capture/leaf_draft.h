// LeafDraft: a leaf while its newest blocks are in a segment that has no id yet. finish_leaf() turns it into
// the canonical Leaf once every segment that it names is sealed. Internal to the module.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "format/node_format.h"
#include "store/admission.h"

namespace ashlar {

// The kind of a block as the assembler found it, and where it lies.
struct BlockState {
  ExtentKind kind = ExtentKind::kUnallocated;
  BlockPlace place;  // for kData only
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

// Joins consecutive blocks into extents: data where the places follow each other in one segment, other kinds
// where the kind is equal.
std::vector<LeafDraft::Extent> draft_extents(std::span<const BlockState> blocks);
// Replaces handles by segment ids. Every segment of the draft must be sealed.
Leaf finish_leaf(LeafDraft draft, const Admission& admission);

// The number of blocks of each kind, in a leaf or in a volume.
struct BlockCounts {
  std::array<std::uint64_t, 5> of_kind{};  // indexed by ExtentKind

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
