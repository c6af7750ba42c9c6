#include "manifest/diff.h"

#include <algorithm>
#include <optional>

#include "base/check.h"
#include "manifest/subtree.h"

namespace ashlar {
namespace {

// Joins adjacent ranges before they reach the visitor.
class RangeMerger {
 public:
  explicit RangeMerger(const std::function<Status(BlockRange)>& visit) : visit_(visit) {}

  Status add(BlockRange range) {
    if (range.empty()) return {};
    if (!open_.empty() && open_.end() == range.first) {
      open_.count += range.count;
      return {};
    }
    TRY(flush());
    open_ = range;
    return {};
  }
  Status flush() {
    if (open_.empty()) return {};
    const BlockRange range = open_;
    open_ = {};
    return visit_(range);
  }

 private:
  const std::function<Status(BlockRange)>& visit_;
  BlockRange open_;
};

// A position in a leaf that moves forward by blocks, and the extent at it.
class ExtentWalk {
 public:
  explicit ExtentWalk(const Leaf& leaf) : leaf_(leaf) {}
  const LeafExtent& extent() const { return leaf_.extents[number_]; }
  std::uint32_t left() const { return extent().block_count - used_; }
  const SegmentId& segment() const { return leaf_.segments[extent().segment]; }
  std::uint32_t segment_block() const { return extent().first_block + used_; }
  void advance(std::uint32_t blocks) {
    used_ += blocks;
    if (used_ < extent().block_count) return;
    used_ = 0;
    ++number_;
  }

 private:
  const Leaf& leaf_;
  std::size_t number_ = 0;
  std::uint32_t used_ = 0;
};

enum class Likeness : std::uint8_t { kEqual, kDifferent, kAskMarks };

// Returns how the blocks at two positions relate, as far as their places show it. A DATA block and a ZERO
// block are always different here; the digests, which decide above the leaves, distinguish them too.
Likeness likeness(const ExtentWalk& a, const ExtentWalk& b) {
  const auto zero = [](ExtentKind kind) {
    return kind == ExtentKind::kZero || kind == ExtentKind::kUnallocated;
  };
  const ExtentKind a_kind = a.extent().kind;
  const ExtentKind b_kind = b.extent().kind;
  if (zero(a_kind) && zero(b_kind)) return Likeness::kEqual;
  if (a_kind != b_kind) return Likeness::kDifferent;
  if (a_kind == ExtentKind::kUnreadable) return Likeness::kEqual;
  return a.segment() == b.segment() && a.segment_block() == b.segment_block() ? Likeness::kEqual
                                                                              : Likeness::kAskMarks;
}

// Returns whether two subtrees read the same. Equal digests mean equal bytes and an equal number of blocks;
// constants of both kinds read as zeros.
bool alike(const NodeRef& a, const NodeRef& b) {
  return (!a.is_node() && !b.is_node()) || a.digest == b.digest;
}

// A tree of the two that are compared.
struct Side {
  NodeReader& nodes;
  const TreeRoot& root;
  DiffCounters& counters;

  // Returns child `index` of a subtree; the children of a constant are constants.
  Result<NodeRef> child(const NodeRef& ref, const InnerNode* node, std::uint8_t level,
                        std::uint64_t index) const {
    if (node != nullptr) return node->children[index % kFanout];
    return constant_ref(ref.kind, level, subtree_blocks(root.blocks, level, index));
  }
  Result<std::shared_ptr<const InnerNode>> inner(const Subtree& at) const {
    if (!at.ref.is_node()) return std::shared_ptr<const InnerNode>();
    ++counters.nodes_read;
    return load_inner(nodes, at.ref, at.level, subtree_blocks(root.blocks, at.level, at.index));
  }
  Result<std::shared_ptr<const Leaf>> leaf(const Subtree& at) const {
    const BlockCount blocks = leaf_blocks(root.blocks, at.index);
    if (at.ref.is_node()) {
      ++counters.nodes_read;
      return load_leaf(nodes, at.ref, blocks);
    }
    Leaf zeros;
    zeros.extents.push_back({ExtentKind::kZero, static_cast<std::uint16_t>(blocks.value), 0, 0});
    return std::make_shared<const Leaf>(std::move(zeros));
  }
  // Returns the first subtree of `level`, which is the height of the lower of the two trees.
  Result<NodeRef> front(std::uint8_t level) const {
    Subtree at{root.level, 0, root.ref};
    while (at.level > level) {
      const auto node = TRY(inner(at));
      --at.level;
      at.ref = TRY(child(at.ref, node.get(), at.level, 0));
    }
    return at.ref;
  }
};

class TreeDiff {
 public:
  TreeDiff(Side a, Side b, BlockMarkReader& marks, RangeMerger& out)
      : a_(a), b_(b), marks_(marks), out_(out) {}

  // Compares two subtrees. It calls itself once per level, so at most five deep.
  Status compare(std::uint8_t level, std::uint64_t index, const NodeRef& a, const NodeRef& b) {
    if (alike(a, b)) return {};
    if (level == 0) return compare_leaves({0, index, a}, {0, index, b});
    const auto a_node = TRY(a_.inner({level, index, a}));
    const auto b_node = TRY(b_.inner({level, index, b}));
    const auto below = static_cast<std::uint8_t>(level - 1);
    for (std::uint64_t i = index * kFanout; i < (index + 1) * kFanout; ++i) {
      if (common_blocks(below, i).value == 0) break;
      const NodeRef a_child = TRY(a_.child(a, a_node.get(), below, i));
      const NodeRef b_child = TRY(b_.child(b, b_node.get(), below, i));
      TRY(compare(below, i, a_child, b_child));
    }
    return {};
  }

 private:
  BlockCount common_blocks(std::uint8_t level, std::uint64_t index) const {
    return std::min(subtree_blocks(a_.root.blocks, level, index),
                    subtree_blocks(b_.root.blocks, level, index));
  }

  Status compare_leaves(const Subtree& a_at, const Subtree& b_at) {
    const auto a = TRY(a_.leaf(a_at));
    const auto b = TRY(b_.leaf(b_at));
    std::vector<BlockMark> a_marks;
    std::vector<BlockMark> b_marks;
    ExtentWalk a_walk(*a);
    ExtentWalk b_walk(*b);
    const auto blocks = static_cast<std::uint32_t>(common_blocks(0, a_at.index).value);
    for (std::uint32_t done = 0; done < blocks;) {
      const std::uint32_t run = std::min({a_walk.left(), b_walk.left(), blocks - done});
      const Likeness like = likeness(a_walk, b_walk);
      const Lba first{a_at.index * kLeafBlocks + done};
      if (like == Likeness::kDifferent) TRY(out_.add({first, BlockCount{run}}));
      if (like == Likeness::kAskMarks) {
        TRY(read_marks(*a, a_marks));
        TRY(read_marks(*b, b_marks));
        TRY(compare_marks(first, std::span(a_marks).subspan(done, run),
                          std::span(b_marks).subspan(done, run)));
      }
      a_walk.advance(run);
      b_walk.advance(run);
      done += run;
    }
    return {};
  }

  Status read_marks(const Leaf& leaf, std::vector<BlockMark>& out) {
    if (!out.empty()) return {};
    out = TRY(marks_.block_marks(leaf));
    if (out.size() != leaf.block_count()) return corrupt("a leaf's block marks do not cover its blocks");
    return {};
  }

  Status compare_marks(Lba first, std::span<const BlockMark> a, std::span<const BlockMark> b) {
    for (std::size_t i = 0; i < a.size(); ++i) {
      if (a[i] != b[i]) TRY(out_.add({first + BlockCount{i}, BlockCount{1}}));
    }
    return {};
  }

  Side a_;
  Side b_;
  BlockMarkReader& marks_;
  RangeMerger& out_;
};

}  // namespace

Status diff_trees(NodeReader& nodes, BlockMarkReader& marks, const TreeRoot& a, const TreeRoot& b,
                  const std::function<Status(BlockRange)>& visit, DiffCounters* counters) {
  TRY(check_root(a));
  TRY(check_root(b));
  DiffCounters unread;
  DiffCounters& counted = counters != nullptr ? *counters : unread;
  RangeMerger out(visit);
  const Side a_side{nodes, a, counted};
  const Side b_side{nodes, b, counted};
  const BlockCount common = std::min(a.blocks, b.blocks);
  if (common.value > 0) {
    const std::uint8_t level = std::min(a.level, b.level);
    const NodeRef a_front = TRY(a_side.front(level));
    const NodeRef b_front = TRY(b_side.front(level));
    TRY(TreeDiff(a_side, b_side, marks, out).compare(level, 0, a_front, b_front));
  }
  TRY(out.add({Lba{common.value}, std::max(a.blocks, b.blocks) - common}));
  return out.flush();
}

}  // namespace ashlar
