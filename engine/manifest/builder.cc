#include "manifest/builder.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/check.h"
#include "base/units.h"
#include "manifest/subtree.h"

namespace ashlar {
namespace {

// Returns the kind of constant that the leaf is, if it is one.
std::optional<ChildKind> constant_kind(const Leaf& leaf) {
  const auto all = [&](ExtentKind kind) {
    return std::all_of(leaf.extents.begin(), leaf.extents.end(),
                       [&](const LeafExtent& e) { return e.kind == kind; });
  };
  if (all(ExtentKind::kZero)) return ChildKind::kZero;
  if (all(ExtentKind::kUnallocated)) return ChildKind::kUnallocated;
  return std::nullopt;
}

bool all_one_constant(const std::vector<NodeRef>& children) {
  const ChildKind kind = children.front().kind;
  return kind != ChildKind::kNode &&
         std::all_of(children.begin(), children.end(), [&](const NodeRef& c) { return c.kind == kind; });
}

// A tree one level lower than the tallest: close_all() needs a level above the root's.
constexpr BlockCount kMaxStreamBlocks = blocks_below(kMaxLevel - 1);

Error too_large_for(BlockCount limit) {
  return invalid(fmt::format("more than {} are not supported", format_size(byte_count(limit).value)));
}

}  // namespace

// The builder's state. Subtrees are appended from front to back; open[L] holds the children of the one
// unfinished node of level L. `placed` leaves are in the tree. `kept` further leaves were announced by keep()
// and are placed when the series of keep() calls ends, so that many small calls reuse whole subtrees as one
// large call does.
struct ManifestBuilder::State {
  State(NodeReader& node_reader, NodeWriter& node_writer, BlockCount blocks,
        const std::optional<TreeRoot>& from)
      : writer(node_writer), volume_blocks(blocks), parent(from) {
    if (parent) parent_cursor.emplace(node_reader, *parent);
    if (too_large()) return;
    level = root_level(blocks);
    leaves = leaf_count(blocks);
    if (leaves == 0) root = constant_ref(ChildKind::kUnallocated, 0, {});
  }

  NodeWriter& writer;
  BlockCount volume_blocks;
  std::optional<TreeRoot> parent;
  std::optional<LeafCursor> parent_cursor;
  std::uint8_t level = 0;
  std::uint64_t leaves = 0;

  std::uint64_t placed = 0;
  std::uint64_t kept = 0;
  std::array<std::vector<NodeRef>, kMaxLevel + 1> open;  // open[0] stays empty
  std::optional<NodeRef> root;
  BuildCounters counters;
  bool failed = false;

  bool too_large() const { return volume_blocks > kMaxTreeBlocks && volume_blocks != kUnknownSize; }

  // Marks the builder as failed on an error: a leaf may be missing, so no part of the tree may be published.
  Status poison(Status status) {
    if (!status.ok()) failed = true;
    return status;
  }

  Status check_room(std::uint64_t count) const {
    if (failed) return invalid("manifest builder: used after it failed");
    if (too_large()) return too_large_for(kMaxTreeBlocks);
    if (count > leaves - placed - kept) return invalid("manifest builder: more leaves than the volume has");
    return {};
  }

  Status put(ByteSpan encoding, const NodeId& id) {
    TRY(writer.put(id, encoding));
    ++counters.nodes_written;
    counters.node_bytes_written += encoding.size();
    return {};
  }

  // Makes a node or a constant from the open children of `at_level`, which end at `placed`.
  Result<NodeRef> close(std::uint8_t at_level) {
    std::vector<NodeRef>& children = open[at_level];
    NodeRef ref;
    if (all_one_constant(children)) {
      const std::uint64_t index = (placed - 1) / leaves_below(at_level);
      ref = constant_ref(children.front().kind, at_level, subtree_blocks(volume_blocks, at_level, index));
    } else {
      InnerNode node{at_level, std::move(children)};
      const ByteVector encoding = encode(node);
      ref = {ChildKind::kNode, node_id(encoding), inner_digest(at_level, node.children)};
      TRY(put(encoding, ref.id));
      children = std::move(node.children);
    }
    children.clear();
    return ref;
  }

  // Places a whole subtree, which starts at `placed`.
  Status append(std::uint8_t at_level, NodeRef ref) {
    placed = std::min(leaves, placed + leaves_below(at_level));
    for (; at_level < level; ++at_level) {
      const auto above = static_cast<std::uint8_t>(at_level + 1);
      open[above].push_back(ref);
      if (open[above].size() < kFanout && placed < leaves) return {};
      ref = TRY(close(above));
    }
    root = ref;
    return {};
  }

  // Returns the highest level, at most `top`, whose subtree starts at `placed` and ends within `count` leaves
  // (the volume's end may cut it). Example: at leaf 256 with 300 leaves to place it is level 1, which covers
  // 256 leaves.
  std::uint8_t tallest(std::uint8_t top, std::uint64_t count) const {
    std::uint8_t at_level = top;
    while (at_level > 0 && (placed % leaves_below(at_level) != 0 ||
                            std::min(leaves_below(at_level), leaves - placed) > count)) {
      --at_level;
    }
    return at_level;
  }

  Status place_constant(ChildKind kind, std::uint64_t count) {
    const std::uint64_t end = placed + count;
    while (placed < end) {
      const std::uint8_t at_level = tallest(level, end - placed);
      const std::uint64_t index = placed / leaves_below(at_level);
      TRY(append(at_level, constant_ref(kind, at_level, subtree_blocks(volume_blocks, at_level, index))));
    }
    return {};
  }

  // Returns whether the subtree at `placed` covers as many blocks in both volumes. Where the end of one
  // volume cuts it short, the end of the other must cut it at the same block.
  bool same_shape(std::uint8_t at_level) const {
    const std::uint64_t index = placed / leaves_below(at_level);
    return subtree_blocks(volume_blocks, at_level, index) == subtree_blocks(parent->blocks, at_level, index);
  }

  Status place_kept() {
    const std::uint64_t end = placed + kept;
    kept = 0;
    while (placed < end) {
      std::uint8_t at_level = tallest(std::min(level, parent->level), end - placed);
      while (!same_shape(at_level)) {
        CHECK(at_level > 0);  // keep() has compared the leaves
        --at_level;
      }
      Subtree found = TRY(parent_cursor->subtree(at_level, placed));
      if (found.level > at_level) {
        const std::uint64_t index = placed / leaves_below(at_level);
        found.ref = constant_ref(found.ref.kind, at_level, subtree_blocks(volume_blocks, at_level, index));
      }
      TRY(append(at_level, found.ref));
    }
    return {};
  }

  Status place_leaf(const Leaf& leaf) {
    const BlockCount blocks = leaf_blocks(volume_blocks, placed);
    if (leaf.block_count() != blocks.value) {
      return invalid(fmt::format("manifest builder: leaf {} has {} blocks where {} belong", placed,
                                 leaf.block_count(), blocks.value));
    }
    if (const auto kind = constant_kind(leaf)) return append(0, constant_ref(*kind, 0, blocks));
    const ByteVector encoding = encode(leaf);
    // A leaf that no reader would accept must not be published.
    TRY(decode_leaf(encoding).with_context(fmt::format("manifest builder: leaf {}", placed)));
    const NodeRef ref{ChildKind::kNode, node_id(encoding), leaf.digest};
    TRY(put(encoding, ref.id));
    return append(0, ref);
  }

  Status check_keep(std::uint64_t count) {
    TRY(check_room(count));
    if (count == 0) return {};
    if (!parent) return invalid("manifest builder: keep without a parent");
    const std::uint64_t last = placed + kept + count - 1;
    TRY(parent_cursor->subtree(parent->level, last));  // checks the root, and that `last` is below its end
    // Only the last leaf of a volume can be short, so checking the last kept leaf is enough.
    if (leaf_blocks(volume_blocks, last) != leaf_blocks(parent->blocks, last)) {
      return invalid(fmt::format("manifest builder: leaf {} of the parent covers other blocks", last));
    }
    return {};
  }

  // Sets the volume's end. Nodes that were closed before it was known are right, because only the last node
  // of each level depends on the end.
  Status end_at(BlockCount blocks) {
    TRY(check_room(0));
    if (volume_blocks != kUnknownSize) return invalid("manifest builder: the volume's end was known already");
    if (blocks > kMaxStreamBlocks) return too_large_for(kMaxStreamBlocks);
    // All leaves so far are full ones.
    if (blocks < BlockCount{(placed + kept) * kLeafBlocks}) {
      return invalid("manifest builder: the volume ends before its leaves");
    }
    volume_blocks = blocks;
    leaves = leaf_count(blocks);
    level = root_level(blocks);
    if (leaves == 0) root = constant_ref(ChildKind::kUnallocated, 0, {});
    return {};
  }

  // Closes the nodes that append() left open because it did not know that its leaf was the last one.
  Status close_all() {
    if (root) return {};
    for (std::uint8_t at_level = 1; at_level <= level; ++at_level) {
      if (!open[at_level].empty()) open[at_level + 1U].push_back(TRY(close(at_level)));
    }
    std::vector<NodeRef>& top = open[level + 1U];
    CHECK(top.size() == 1);
    root = top.front();
    top.clear();
    return {};
  }
};

ManifestBuilder::ManifestBuilder(NodeReader& nodes, NodeWriter& writer, BlockCount volume_blocks,
                                 std::optional<TreeRoot> parent)
    : state_(std::make_unique<State>(nodes, writer, volume_blocks, parent)) {}
ManifestBuilder::~ManifestBuilder() = default;

std::uint64_t ManifestBuilder::next() const { return state_->placed + state_->kept; }
const BuildCounters& ManifestBuilder::counters() const { return state_->counters; }

Status ManifestBuilder::add_leaf(const Leaf& leaf) {
  TRY(state_->check_room(1));
  TRY(state_->poison(state_->place_kept()));
  return state_->poison(state_->place_leaf(leaf));
}

Status ManifestBuilder::add_constant(ChildKind kind, std::uint64_t leaves) {
  TRY(state_->check_room(leaves));
  if (kind == ChildKind::kNode) return invalid("manifest builder: a node is not a constant");
  TRY(state_->poison(state_->place_kept()));
  return state_->poison(state_->place_constant(kind, leaves));
}

Status ManifestBuilder::keep(std::uint64_t leaves) {
  TRY(state_->check_keep(leaves));
  state_->kept += leaves;
  return {};
}

Status ManifestBuilder::end_at(BlockCount volume_blocks) {
  if (state_->volume_blocks == volume_blocks) return {};
  return state_->end_at(volume_blocks);
}

Result<TreeRoot> ManifestBuilder::finish() {
  TRY(state_->check_room(0));
  if (next() != state_->leaves) return invalid("manifest builder: finished before all leaves were added");
  TRY(state_->poison(state_->place_kept()));
  TRY(state_->poison(state_->close_all()));
  CHECK(state_->root.has_value());
  return TreeRoot{state_->volume_blocks, state_->level, *state_->root};
}

}  // namespace ashlar
