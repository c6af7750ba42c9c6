#include "manifest/tree.h"

#include <algorithm>

#include "manifest/subtree.h"

namespace ashlar {

TreeRoot tree_root(const SnapshotRecord& snapshot) {
  return {blocks_covering(snapshot.size), snapshot.root_level, snapshot.root};
}

Result<std::shared_ptr<const InnerNode>> LeafCursor::inner(const Subtree& at) {
  Held& held = spine_[at.level];
  // A node may appear at several places of a tree and fit only some of them, so a hit also needs the same
  // place.
  if (held.node && held.index == at.index && held.ref == at.ref) return held.node;
  auto node = TRY(load_inner(nodes_, at.ref, at.level, subtree_blocks(root_.blocks, at.level, at.index)));
  held = {at.index, at.ref, node};
  return node;
}

Result<Subtree> LeafCursor::subtree(std::uint8_t level, std::uint64_t index) {
  if (!root_checked_) TRY(check_root(root_));
  root_checked_ = true;
  if (index >= leaf_count(root_.blocks)) return invalid("leaf number past the end of the volume");
  if (level > root_.level) return invalid("no subtree of a level above the root's");
  Subtree at{root_.level, 0, root_.ref};
  while (at.level > level && at.ref.is_node()) {
    const auto loaded = inner(at);
    if (!loaded.ok()) {
      unread_ = at;
      return loaded.error();
    }
    const auto& node = loaded.value();
    --at.level;
    at.index = index / leaves_below(at.level);
    at.ref = node->children[at.index % kFanout];
  }
  return at;
}

Result<LeafSpan> LeafCursor::at(std::uint64_t index) {
  const Subtree found = TRY(subtree(0, index));
  if (found.ref.is_node()) return LeafSpan{index, 1, found.ref};
  std::uint64_t end = (found.index + 1) * leaves_below(found.level);
  // Constant siblings under the same node belong to the span: that node is loaded already.
  if (const auto above = found.level + 1U; found.level < root_.level) {
    const auto& siblings = spine_[above].node->children;
    for (auto i = found.index % kFanout + 1; i < siblings.size() && siblings[i].kind == found.ref.kind; ++i) {
      end += leaves_below(found.level);
    }
  }
  end = std::min(end, leaf_count(root_.blocks));
  return LeafSpan{index, end - index, NodeRef{found.ref.kind, {}, {}}};
}

LeafSpan LeafCursor::unread(std::uint64_t index) const {
  const std::uint64_t end =
      std::min((unread_.index + 1) * leaves_below(unread_.level), leaf_count(root_.blocks));
  return {index, end - index, unread_.ref};
}

Result<std::shared_ptr<const Leaf>> LeafCursor::load(const LeafSpan& span) {
  if (!span.ref.is_node()) return invalid("a span of constant leaves has no leaf to load");
  return load_leaf(nodes_, span.ref, leaf_blocks(root_.blocks, span.first));
}

}  // namespace ashlar
