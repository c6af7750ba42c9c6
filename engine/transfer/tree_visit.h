// A tree from its leaves up: every node after all that is below it, each node once.
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

// A node together with what it stands for: the same node over fewer blocks, or
// under another digest, is another matter.
struct SeenNode {
  NodeId id;
  ContentDigest digest;  // that whoever names it says it has
  std::uint8_t level = 0;
  std::uint64_t blocks = 0;
  friend auto operator<=>(const SeenNode&, const SeenNode&) = default;
};

// One that has been visited, in `seen`, is passed over with all below it. kCorrupt for a tree that does not
// fit its snapshot; kCancelled when stopped.
Status visit_tree(NodeReader& nodes, const SnapshotRecord& snapshot, std::set<SeenNode>& seen,
                  TreeVisitor& visitor, const std::stop_token& stop);

}  // namespace ashlar
