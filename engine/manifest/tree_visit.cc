#include "manifest/tree_visit.h"

namespace ashlar {
namespace {

struct Visit {
  NodeReader& nodes;
  BlockCount blocks;  // size of the volume
  std::set<SeenNode>& seen;
  TreeVisitor& visitor;
  const std::stop_token& stop;

  // Visits a subtree. The recursion is as deep as the tree has levels, which follow from the volume's size.
  Status subtree(std::uint8_t level, std::uint64_t index, const NodeRef& ref) {
    const BlockCount covered = subtree_blocks(blocks, level, index);
    const SeenNode self{ref.id, ref.digest, level, covered.value};
    if (!ref.is_node() || seen.contains(self)) return {};
    if (stop.stop_requested()) return cancelled();
    if (level == 0) {
      TRY(visitor.visit_leaf(ref, *TRY(load_leaf(nodes, ref, covered))));
    } else {
      const auto node = TRY(load_inner(nodes, ref, level, covered));
      for (std::size_t i = 0; i < node->children.size(); ++i)
        TRY(subtree(static_cast<std::uint8_t>(level - 1), index * kFanout + i, node->children[i]));
      TRY(visitor.visit_inner(ref, *node));
    }
    seen.insert(self);
    return {};
  }
};

}  // namespace

Status visit_tree(NodeReader& nodes, const SnapshotRecord& snapshot, std::set<SeenNode>& seen,
                  TreeVisitor& visitor, const std::stop_token& stop) {
  const TreeRoot root = tree_root(snapshot);
  TRY(check_root(root));
  return Visit{nodes, root.blocks, seen, visitor, stop}
      .subtree(root.level, 0, root.ref)
      .with_context(snapshot.id.text());
}

}  // namespace ashlar
