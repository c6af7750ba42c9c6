// The shape of a tree, and nodes loaded and held against it.
//
// A subtree of level L and number I covers leaves I × 256^L up to the next one's, or to the volume's end:
// everything about its shape follows from the volume's size. The loads below believe nothing that a node says
// of itself: a tree may come from a hostile image. What they refuse is kCorrupt.
#pragma once

#include <cstdint>
#include <memory>

#include "base/quantity.h"
#include "manifest/tree.h"
#include "store/node_store.h"

namespace ashlar {

// The largest volume: 2^44 blocks.
inline constexpr BlockCount kMaxTreeBlocks{kMaxVolumeBytes / kBlockBytes};
static_assert(leaves_below(kMaxLevel) * kLeafBlocks >= kMaxTreeBlocks.value);

constexpr BlockCount blocks_below(std::uint8_t level) {
  return BlockCount{leaves_below(level) * kLeafBlocks};
}

// Blocks of subtree `index` of `level`; 0 when it starts at the volume's end or behind it.
BlockCount subtree_blocks(BlockCount volume_blocks, std::uint8_t level, std::uint64_t index);

// zero_digest(), remembered for full subtrees.
ContentDigest constant_digest(std::uint8_t level, BlockCount blocks);
inline NodeRef constant_ref(ChildKind kind, std::uint8_t level, BlockCount blocks) {
  return {kind, {}, constant_digest(level, blocks)};
}

// Size, level, and the digest of a constant root fit together.
Status check_root(const TreeRoot& root);

// The inner node behind `ref`, of that level and with the children that `blocks` blocks need. Digests fit on
// the way down: the node's to its children's, a constant's to its size.
Result<std::shared_ptr<const InnerNode>> load_inner(NodeReader& nodes, const NodeRef& ref, std::uint8_t level,
                                                    BlockCount blocks);
// The leaf behind `ref`, with the digest that `ref` promises and of exactly `blocks` blocks.
Result<std::shared_ptr<const Leaf>> load_leaf(NodeReader& nodes, const NodeRef& ref, BlockCount blocks);

}  // namespace ashlar
