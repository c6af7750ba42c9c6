// Tree visit: visits a tree from its leaves up: each node once, after all nodes under it.
#pragma once

#include <set>
#include <stop_token>

#include "format/snapshot_record.h"
#include "manifest/subtree.h"

namespace ashlar {

class TreeVisitor {
 public:
  TreeVisitor() = default;
  TreeVisitor(const TreeVisitor&) = delete;
  TreeVisitor& operator=(const TreeVisitor&) = delete;
  virtual ~TreeVisitor() = default;
  virtual Status visit_leaf(const NodeRef& ref, const Leaf& leaf) = 0;
  virtual Status visit_inner(const NodeRef& ref, const InnerNode& node) = 0;
};

// A node together with the range that it covers: the same node over fewer blocks, or under another digest,
// counts as another one.
struct SeenNode {
  NodeId id;
  ContentDigest digest;  // the digest in the reference to the node
  std::uint8_t level = 0;
  std::uint64_t blocks = 0;
  friend auto operator<=>(const SeenNode&, const SeenNode&) = default;
};

// Visits the tree of a snapshot. A node in `seen` was visited before and is skipped with everything under it.
// Returns kCorrupt for a tree that does not fit its snapshot; kCancelled when stopped.
Status visit_tree(NodeReader& nodes, const SnapshotRecord& snapshot, std::set<SeenNode>& seen,
                  TreeVisitor& visitor, const std::stop_token& stop);

}  // namespace ashlar
