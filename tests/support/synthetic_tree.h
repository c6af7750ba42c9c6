// Manifest trees of volumes that are too large to build leaf by leaf: 256 GiB of distinct leaves, repeated up
// to the size wanted.
#pragma once

#include <cstdint>
#include <vector>

#include "manifest/builder.h"
#include "manifest/diff.h"
#include "support/memory_nodes.h"

namespace ashlar {

// Returns a leaf of 4 MiB in one segment, with a hash for each region, as a capture of unique data makes it.
// Its segment id, region hashes and digest are made from `number`: distinct numbers give distinct contents.
inline Leaf synthetic_leaf(std::uint64_t number) {
  Leaf leaf;
  SegmentId segment;
  std::memcpy(segment.bytes.data(), &number, sizeof number);
  leaf.segments.push_back(segment);
  leaf.extents.push_back({ExtentKind::kData, static_cast<std::uint16_t>(kLeafBlocks), 0, 0});
  leaf.region_mask = UINT64_MAX;
  for (std::uint64_t r = 0; r < kLeafRegions; ++r) {
    RegionHash hash;
    const std::uint64_t value = number * kLeafRegions + r;
    std::memcpy(hash.bytes.data(), &value, sizeof value);
    leaf.regions.push_back(hash);
  }
  std::memcpy(leaf.digest.bytes.data(), &number, sizeof number);
  leaf.digest.bytes.back() = std::byte{1};
  return leaf;
}

// The block marks of synthetic leaves: each is the segment's bytes followed by the block's number.
class SyntheticMarks : public BlockMarkReader {
 public:
  Result<std::vector<BlockMark>> block_marks(const Leaf& leaf) override {
    std::vector<BlockMark> marks(leaf.block_count());
    for (std::size_t i = 0; i < marks.size(); ++i) {
      marks[i].bytes = leaf.segments.front().bytes;
      std::memcpy(marks[i].bytes.data() + 16, &i, sizeof i);
    }
    return marks;
  }
};

inline Result<TreeRoot> build_synthetic(MemoryNodes& nodes, std::uint64_t leaves) {
  ManifestBuilder builder(nodes, nodes, BlockCount{leaves * kLeafBlocks}, std::nullopt);
  for (std::uint64_t i = 0; i < leaves; ++i) TRY(builder.add_leaf(synthetic_leaf(i)));
  return builder.finish();
}

// Builds a tree of 64 TiB (256^3 leaves, none of them constant) from 256 references to one subtree of 256
// GiB.
inline Result<TreeRoot> build_synthetic_64_tib(MemoryNodes& nodes) {
  const TreeRoot part = TRY(build_synthetic(nodes, leaves_below(2)));
  InnerNode top;
  top.level = 3;
  top.children.assign(kFanout, part.ref);
  const NodeRef ref{ChildKind::kNode, nodes.store(top), inner_digest(top.level, top.children)};
  return TreeRoot{BlockCount{leaves_below(3) * kLeafBlocks}, top.level, ref};
}

}  // namespace ashlar
