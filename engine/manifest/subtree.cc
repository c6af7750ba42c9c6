#include "manifest/subtree.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <vector>

namespace ashlar {
namespace {

Error damaged(const NodeRef& ref, std::string_view what) {
  return corrupt(fmt::format("manifest node {}: {}", ref.id.hex(), what));
}

using LevelDigests = std::array<ContentDigest, kMaxLevel + 1>;

// Computes the digest of each level from that of the level below. zero_digest() would hash all lower levels
// again for each level.
LevelDigests full_zero_digests() {
  LevelDigests digests;
  digests[0] = zero_digest(0, BlockCount{kLeafBlocks});
  for (std::uint8_t level = 1; level <= kMaxLevel; ++level) {
    digests[level] = inner_digest(
        level, std::vector<NodeRef>(kFanout, NodeRef{ChildKind::kZero, {}, digests[level - 1U]}));
  }
  return digests;
}

}  // namespace

BlockCount leaf_blocks(BlockCount volume_blocks, std::uint64_t index) {
  return subtree_blocks(volume_blocks, 0, index);
}

BlockCount subtree_blocks(BlockCount volume_blocks, std::uint8_t level, std::uint64_t index) {
  const std::uint64_t full = blocks_below(level).value;
  if (index > volume_blocks.value / full) return {};
  return BlockCount{std::min(full, volume_blocks.value - index * full)};
}

ContentDigest constant_digest(std::uint8_t level, BlockCount blocks) {
  static const LevelDigests full = full_zero_digests();
  if (blocks == blocks_below(level)) return full[level];
  if (level == 0) return zero_digest(0, blocks);
  const auto below = static_cast<std::uint8_t>(level - 1);
  const std::uint64_t child_blocks = blocks_below(below).value;
  std::vector<NodeRef> children(blocks.value / child_blocks, NodeRef{ChildKind::kZero, {}, full[below]});
  if (const std::uint64_t rest = blocks.value % child_blocks; rest > 0) {
    children.push_back(constant_ref(ChildKind::kZero, below, BlockCount{rest}));
  }
  return inner_digest(level, children);
}

Status check_root(const TreeRoot& root) {
  if (root.blocks > kMaxTreeBlocks) return corrupt("manifest root: a volume larger than any may be");
  if (root.level != root_level(root.blocks))
    return corrupt("manifest root: its level does not fit the volume's size");
  if (root.ref.is_node()) {
    if (root.blocks.value == 0) return corrupt("manifest root: a node for a volume without blocks");
    return {};
  }
  if (root.ref.digest != constant_digest(root.level, root.blocks)) {
    return corrupt("manifest root: digest of a constant does not fit the volume's size");
  }
  return {};
}

Result<std::shared_ptr<const InnerNode>> load_inner(NodeReader& nodes, const NodeRef& ref, std::uint8_t level,
                                                    BlockCount blocks) {
  auto node = TRY(nodes.inner(ref.id));
  if (node->level != level) return damaged(ref, fmt::format("level {} where {} belongs", node->level, level));
  const auto below = static_cast<std::uint8_t>(level - 1);
  const std::uint64_t child_blocks = blocks_below(below).value;
  const std::uint64_t expected = (blocks.value + child_blocks - 1) / child_blocks;
  if (node->children.size() != expected) {
    return damaged(ref, fmt::format("{} children where {} belong", node->children.size(), expected));
  }
  for (std::size_t i = 0; i < node->children.size(); ++i) {
    const NodeRef& child = node->children[i];
    if (child.is_node()) continue;
    if (child.digest != constant_digest(below, subtree_blocks(blocks, below, i))) {
      return damaged(ref, fmt::format("digest of constant child {} is wrong", i));
    }
  }
  if (inner_digest(level, node->children) != ref.digest)
    return damaged(ref, "its digest is not that of its children");
  return node;
}

Result<std::shared_ptr<const Leaf>> load_leaf(NodeReader& nodes, const NodeRef& ref, BlockCount blocks) {
  auto leaf = TRY(nodes.leaf(ref.id));
  if (leaf->block_count() != blocks.value) {
    return damaged(ref, fmt::format("leaf of {} blocks where {} belong", leaf->block_count(), blocks.value));
  }
  if (leaf->digest != ref.digest) return damaged(ref, "the leaf's digest is not the one its parent names");
  return leaf;
}

}  // namespace ashlar
