// OutgoingNodes: manifest nodes as they leave their store: leaves without region hashes, and inner nodes over
// these leaves. A node keeps its content digest and gets another id. Equal nodes get equal ids, so a receiver
// finds those that it has. Internal to the module.
//
// Region hashes are made under a secret of the store; one who sees some could make a change that no capture
// finds (docs/decisions/region-hash.md).
#pragma once

#include <map>

#include "format/node_format.h"
#include "format/snapshot_record.h"

namespace ashlar {

enum class RegionHashes : std::uint8_t { kLeaveOut, kKeep };

// One thread. Holds the ids of all nodes that it was given.
class OutgoingNodes {
 public:
  struct Node {
    NodeId id;
    ByteVector encoding;
  };

  // `hashes` is kKeep only when nothing leaves the store, because the receiver is the same store.
  explicit OutgoingNodes(RegionHashes hashes) : hashes_(hashes) {}

  // Returns the node that stands for a node of the source. An inner node comes after all nodes below it.
  // Fails with kCorrupt when it does not have the digest in `ref`.
  Result<Node> leaf(const NodeRef& ref, const Leaf& leaf);
  Result<Node> inner(const NodeRef& ref, InnerNode node);
  // Returns the record with the root of the tree that leaves the store; the nodes of the tree were given
  // before. Fails with kCorrupt when that tree has another content.
  Result<SnapshotRecord> record(const SnapshotRecord& original) const;

 private:
  Result<Node> add(const NodeRef& ref, const ContentDigest& digest, ByteVector encoding);
  Result<NodeRef> sent(const NodeRef& ref) const;

  RegionHashes hashes_;
  std::map<NodeId, NodeRef> sent_;  // by the id in the source
};

}  // namespace ashlar
