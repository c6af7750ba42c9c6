// Reading a manifest: which leaf covers what, without walking more of the tree than asked for.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>

#include "base/quantity.h"
#include "store/node_store.h"

namespace ashlar {

// A tree as a snapshot names it.
struct TreeRoot {
  BlockCount blocks;  // of the volume
  std::uint8_t level = 0;
  NodeRef ref;
};

constexpr std::uint64_t leaf_count(BlockCount blocks) {
  return (blocks.value + kLeafBlocks - 1) / kLeafBlocks;
}
// Blocks that leaf `index` covers: kLeafBlocks but for a shorter last one.
BlockCount leaf_blocks(BlockCount volume_blocks, std::uint64_t index);

// A stretch of leaves met in order: many that are the same constant, or one that is a node.
struct LeafSpan {
  std::uint64_t first = 0;  // leaf number
  std::uint64_t count = 0;
  NodeRef ref;  // of the leaf when it is a node (then count is 1), else the constant's kind (digest unset)
};

// One subtree of a tree: number `index` among those of its level.
struct Subtree {
  std::uint8_t level = 0;
  std::uint64_t index = 0;
  NodeRef ref;
};

// Walks the leaves of a tree front to back, skipping constant subtrees in one step. One thread.
// A tree whose shape or digests do not fit its volume is kCorrupt.
class LeafCursor {
 public:
  LeafCursor(NodeReader& nodes, const TreeRoot& root) : nodes_(nodes), root_(root) {}

  // The span that covers leaf `index`, cut to start there. `index` is below leaf_count(); any order,
  // ascending is cheap.
  Result<LeafSpan> at(std::uint64_t index);
  // The decoded leaf of a span that is a node; it covers as many blocks as it should.
  Result<std::shared_ptr<const Leaf>> load(const LeafSpan& span);
  // The subtree of `level` that covers leaf `index`, or the constant above it that does. `level` is at most
  // the root's.
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
  std::array<Held, kMaxLevel + 1> spine_;  // the inner node last used of each level
  bool root_checked_ = false;
};

}  // namespace ashlar
