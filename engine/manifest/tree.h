// Tree: reads a manifest; finds which leaf covers which blocks and visits only the nodes on the way to it.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>

#include "base/quantity.h"
#include "format/snapshot_record.h"
#include "store/node_store.h"

namespace ashlar {

// A tree as a snapshot names it.
struct TreeRoot {
  BlockCount blocks;  // size of the volume
  std::uint8_t level = 0;
  NodeRef ref;
};

TreeRoot tree_root(const SnapshotRecord& snapshot);

constexpr std::uint64_t leaf_count(BlockCount blocks) {
  return (blocks.value + kLeafBlocks - 1) / kLeafBlocks;
}
// Returns the number of blocks that leaf `index` covers: kLeafBlocks, or fewer for the last leaf.
BlockCount leaf_blocks(BlockCount volume_blocks, std::uint64_t index);

// A range of leaves, in order: many of the same constant, or a single node.
struct LeafSpan {
  std::uint64_t first = 0;  // leaf number
  std::uint64_t count = 0;
  NodeRef ref;  // the leaf's node (then count is 1), or the constant's kind with the digest unset
};

// A subtree of a tree: number `index` among the subtrees of its level.
struct Subtree {
  std::uint8_t level = 0;
  std::uint64_t index = 0;
  NodeRef ref;
};

// Walks the leaves of a tree from front to back and skips constant subtrees in one step. One thread. Returns
// kCorrupt for a tree whose shape or digests do not fit its volume.
class LeafCursor {
 public:
  LeafCursor(NodeReader& nodes, const TreeRoot& root) : nodes_(nodes), root_(root) {}

  // Returns the span that covers leaf `index`, cut to start there. `index` is below leaf_count(). Any order
  // is allowed; ascending order is cheap.
  Result<LeafSpan> at(std::uint64_t index);
  // Returns the leaves from `index` on that lie below the node which at(index) has just failed to load.
  LeafSpan unread(std::uint64_t index) const;
  // Returns the decoded leaf of a span that is a node; it covers as many blocks as the volume requires.
  Result<std::shared_ptr<const Leaf>> load(const LeafSpan& span);
  // Returns the subtree of `level` that covers leaf `index`, or the constant above it that covers it. `level`
  // is at most the root's.
  Result<Subtree> subtree(std::uint8_t level, std::uint64_t index);

 private:
  struct Held {
    std::uint64_t index = 0;
    NodeRef ref;
    std::shared_ptr<const InnerNode> node;
  };
  Result<std::shared_ptr<const InnerNode>> inner(const Subtree& at);

  NodeReader& nodes_;
  TreeRoot root_;
  std::array<Held, kMaxLevel + 1> spine_;  // per level, the inner node that was used last
  Subtree unread_;                         // the node that could not be loaded last
  bool root_checked_ = false;
};

}  // namespace ashlar
