#include "transfer/returning_nodes.h"

#include <set>

#include "manifest/tree_visit.h"
#include "transfer/outgoing_nodes.h"

namespace ashlar {
namespace {

class OutsideIds : public TreeVisitor {
 public:
  explicit OutsideIds(std::map<NodeId, NodeId>& ids) : ids_(ids) {}
  Status visit_leaf(const NodeRef& ref, const Leaf& leaf) override {
    return add(ref, TRY(outgoing_.leaf(ref, leaf)));
  }
  Status visit_inner(const NodeRef& ref, const InnerNode& node) override {
    return add(ref, TRY(outgoing_.inner(ref, node)));
  }

 private:
  Status add(const NodeRef& ref, const OutgoingNodes::Node& node) {
    ids_[node.id] = ref.id;
    return {};
  }

  OutgoingNodes outgoing_{RegionHashes::kLeaveOut};
  std::map<NodeId, NodeId>& ids_;
};

}  // namespace

Status ReturningNodes::learn() {
  if (ids_) return {};
  std::map<NodeId, NodeId> ids;
  OutsideIds visitor(ids);
  std::set<SeenNode> seen;
  for (const SnapshotRecord& record : TRY(load_base_()))
    TRY(visit_tree(nodes_, record, seen, visitor, stop_));
  ids_ = std::move(ids);
  return {};
}

template <class Read>
auto ReturningNodes::find(const NodeId& id, Read read) -> decltype(read(id)) {
  auto node = read(id);
  const bool is_missing = is(node, ErrorCode::kCorrupt) || is(node, ErrorCode::kNotFound);
  if (!is_missing) return node;
  TRY(learn());
  const auto known = ids_->find(id);
  return known == ids_->end() ? std::move(node) : read(known->second);
}

Result<std::shared_ptr<const Leaf>> ReturningNodes::leaf(const NodeId& id) {
  return find(id, [this](const NodeId& known) { return nodes_.leaf(known); });
}

Result<std::shared_ptr<const InnerNode>> ReturningNodes::inner(const NodeId& id) {
  return find(id, [this](const NodeId& known) { return nodes_.inner(known); });
}

}  // namespace ashlar
