#include "collect/liveness.h"

#include <fmt/format.h>

#include <vector>

#include "store/stored_blocks.h"

namespace ashlar {

namespace {

struct Subtree {
  NodeId id;
  std::uint8_t level = 0;
};

}  // namespace

Status Liveness::mark(const SnapshotRecord& snapshot, const std::stop_token& stop) {
  return mark(snapshot, stop, [](const NodeId&, const Error& why) { return why; });
}

// A node counts as seen once it was read: after an error, another call reads it again.
Status Liveness::mark(const SnapshotRecord& snapshot, const std::stop_token& stop, const OnUnread& unread) {
  std::vector<Subtree> left;
  if (snapshot.root.is_node()) left.push_back({snapshot.root.id, snapshot.root_level});
  while (!left.empty()) {
    if (stop.stop_requested()) return cancelled();
    const Subtree at = left.back();
    left.pop_back();
    if (seen_.contains(at.id)) continue;
    if (at.level == 0) {
      const Status marked = mark_leaf(at.id).with_context(snapshot.id.text());
      if (!marked.ok()) TRY(unread(at.id, marked.error()));
      continue;
    }
    const auto node = nodes_.inner(at.id).with_context(snapshot.id.text());
    if (!node.ok()) {
      TRY(unread(at.id, node.error()));
      continue;
    }
    if (node.value()->level != at.level)
      return corrupt(fmt::format("{}: manifest node {} has another level", snapshot.id.text(), at.id.hex()));
    for (const NodeRef& child : node.value()->children) {
      if (child.is_node()) left.push_back({child.id, static_cast<std::uint8_t>(at.level - 1)});
    }
    seen_.insert(at.id);
  }
  return {};
}

Status Liveness::mark_leaf(const NodeId& id) {
  const auto leaf = TRY(nodes_.leaf(id));
  const std::vector<SegmentBlocks> used = blocks_used(*leaf);
  for (std::size_t i = 0; i < used.size(); ++i) {
    if (used[i].any()) segments_[leaf->segments[i]] |= used[i];
  }
  seen_.insert(id);
  return {};
}

std::vector<SegmentId> Liveness::needed_segments() const {
  std::vector<SegmentId> ids;
  ids.reserve(segments_.size());
  for (const auto& [id, blocks] : segments_) ids.push_back(id);
  return ids;
}

SegmentBlocks Liveness::blocks(const SegmentId& segment) const {
  const auto found = segments_.find(segment);
  return found == segments_.end() ? SegmentBlocks() : found->second;
}

}  // namespace ashlar
