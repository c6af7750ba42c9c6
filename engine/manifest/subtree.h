// Subtree: the shape of a tree, and functions that load nodes and check them against it.
//
// A subtree of level L and index I covers leaves I × 256^L to (I + 1) × 256^L - 1, or to the volume's end:
// the shape follows from the volume's size alone. The functions that load nodes trust no claim of a node,
// because a tree may come from a hostile image. They return kCorrupt for a node that does not fit.
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

// Returns the number of blocks of subtree `index` of `level`; 0 when it starts at or after the volume's end.
BlockCount subtree_blocks(BlockCount volume_blocks, std::uint8_t level, std::uint64_t index);

// Returns zero_digest(), from a cache for full subtrees.
ContentDigest constant_digest(std::uint8_t level, BlockCount blocks);
inline NodeRef constant_ref(ChildKind kind, std::uint8_t level, BlockCount blocks) {
  return {kind, {}, constant_digest(level, blocks)};
}

// Checks that the size, the level and the digest of a constant root fit together.
Status check_root(const TreeRoot& root);

// Loads the inner node that `ref` names. It must have the given level and the number of children that
// `blocks` blocks need. The digest of the node must match its children, and that of a constant child its
// size.
Result<std::shared_ptr<const InnerNode>> load_inner(NodeReader& nodes, const NodeRef& ref, std::uint8_t level,
                                                    BlockCount blocks);
// Loads the leaf that `ref` names. It must have the digest in `ref` and exactly `blocks` blocks.
Result<std::shared_ptr<const Leaf>> load_leaf(NodeReader& nodes, const NodeRef& ref, BlockCount blocks);

}  // namespace ashlar
