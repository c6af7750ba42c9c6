#include "transfer/outgoing_nodes.h"

namespace ashlar {

Result<OutgoingNodes::Node> OutgoingNodes::add(const NodeRef& ref, const ContentDigest& digest,
                                               ByteVector encoding) {
  if (digest != ref.digest) return corrupt("a manifest node has another content digest than its parent says");
  const NodeId id = node_id(encoding);
  sent_[ref.id] = NodeRef{ChildKind::kNode, id, digest};
  return Node{id, std::move(encoding)};
}

Result<NodeRef> OutgoingNodes::sent(const NodeRef& ref) const {
  if (!ref.is_node()) return ref;
  const auto found = sent_.find(ref.id);
  if (found == sent_.end() || found->second.digest != ref.digest)
    return corrupt("a manifest node has another content digest than its parent says");
  return found->second;
}

Result<OutgoingNodes::Node> OutgoingNodes::leaf(const NodeRef& ref, const Leaf& leaf) {
  if (hashes_ == RegionHashes::kKeep) return add(ref, leaf.digest, encode(leaf));
  return add(ref, leaf.digest, encode(without_region_hashes(leaf)));
}

Result<OutgoingNodes::Node> OutgoingNodes::inner(const NodeRef& ref, InnerNode node) {
  for (NodeRef& child : node.children) child = TRY(sent(child));
  return add(ref, inner_digest(node.level, node.children), encode(node));
}

Result<SnapshotRecord> OutgoingNodes::record(const SnapshotRecord& original) const {
  SnapshotRecord record = original;
  record.root = TRY(sent(original.root));
  if (volume_digest(record.size, record.root_level, record.root.digest) != original.content)
    return corrupt(original.id.text() + ": its tree has another content than the record says");
  return record;
}

}  // namespace ashlar
