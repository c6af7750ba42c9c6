// ReturningNodes: reads the nodes of a store, and finds those of one image also by the ids that they have
// outside (OutgoingNodes). So a bundle of what came since an image can return to the store that made the
// image. Internal to the module.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <stop_token>
#include <vector>

#include "format/snapshot_record.h"
#include "store/node_store.h"

namespace ashlar {

// One thread.
class ReturningNodes : public NodeReader {
 public:
  using LoadBase = std::function<Result<std::vector<SnapshotRecord>>()>;
  // `load_base` returns the snapshots of the image. It is called when a node is missing for the first time;
  // then their trees are walked.
  ReturningNodes(NodeReader& nodes, LoadBase load_base, const std::stop_token& stop)
      : nodes_(nodes), load_base_(std::move(load_base)), stop_(stop) {}

  Result<std::shared_ptr<const Leaf>> leaf(const NodeId& id) override;
  Result<std::shared_ptr<const InnerNode>> inner(const NodeId& id) override;

 private:
  template <class Read>
  auto find(const NodeId& id, Read read) -> decltype(read(id));
  Status learn();

  NodeReader& nodes_;
  LoadBase load_base_;
  const std::stop_token& stop_;
  std::optional<std::map<NodeId, NodeId>> ids_;  // by the id outside, the id in the store
};

}  // namespace ashlar
