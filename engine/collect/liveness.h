// Liveness: what the snapshots of a store need: blocks of segments, and manifest nodes. Each node is read
// once, however many snapshots share it.
//
// Memory: about 200 bytes a segment of 4 MiB that is needed, and 70 bytes a node; together 300 MB for 10^9
// blocks. One thread marks; afterwards any number may ask.
#pragma once

#include <cstdint>
#include <functional>
#include <stop_token>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "format/snapshot_record.h"
#include "store/node_store.h"
#include "store/segments.h"

namespace ashlar {

class Liveness {
 public:
  explicit Liveness(NodeReader& nodes) : nodes_(nodes) {}
  Liveness(const Liveness&) = delete;
  Liveness& operator=(const Liveness&) = delete;

  // Marks everything that a snapshot needs. Fails when a node of it can't be read: what lies under that is
  // unknown then, and may be anything.
  Status mark(const SnapshotRecord& snapshot, const std::stop_token& stop);
  // Marks what is known of a snapshot's needs: calls `unread` with each node of it that can't be read, and
  // goes on when that returns ok.
  using OnUnread = std::function<Status(const NodeId& node, const Error& why)>;
  Status mark(const SnapshotRecord& snapshot, const std::stop_token& stop, const OnUnread& unread);

  // Returns the blocks of a segment that are needed.
  SegmentBlocks blocks(const SegmentId& segment) const;
  bool needs(const NodeId& node) const { return seen_.contains(node); }
  // Return what is needed, in no order.
  std::vector<NodeId> needed_nodes() const { return {seen_.begin(), seen_.end()}; }
  std::vector<SegmentId> needed_segments() const;
  std::size_t nodes() const { return seen_.size(); }
  std::size_t segments() const { return segments_.size(); }

 private:
  Status mark_leaf(const NodeId& id);

  NodeReader& nodes_;
  std::unordered_set<NodeId, IdHash> seen_;
  std::unordered_map<SegmentId, SegmentBlocks, IdHash> segments_;
};

}  // namespace ashlar
