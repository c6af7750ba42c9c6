// BundleStaging: the parts of a bundle that were read and are not trusted yet: manifest nodes and the block
// ids of segments, in a scratch file; and readers that search there first and then in the store.
// Internal to the module.
#pragma once

#include <map>
#include <memory>
#include <set>

#include "base/lru_cache.h"
#include "io/file_system.h"
#include "manifest/store_block_marks.h"
#include "store/meta_store.h"

namespace ashlar {

class BundleStaging : public NodeReader, public BlockMarkReader {
 public:
  // `scratch` is a file that has no other user. The store's readers are asked for parts that the bundle does
  // not have.
  BundleStaging(RandomFile& scratch, NodeReader& nodes, SegmentReader& segments)
      : scratch_(scratch), nodes_(nodes), segments_(segments) {}

  // Adds a node under the id computed from its bytes. Returns kCorrupt when the bytes are not a node, when
  // the node was added before, or when it is a leaf with region hashes: forged ones would hide a change.
  Status add_node(ByteSpan encoding);
  Status add_segment(const SegmentDirectory& directory);
  // Returns whether each node and segment that was added has been asked for since.
  bool all_were_used() const {
    return used_nodes_.size() == kept_nodes_.size() && used_segments_.size() == directories_.size();
  }

  Result<std::shared_ptr<const Leaf>> leaf(const NodeId& id) override;
  Result<std::shared_ptr<const InnerNode>> inner(const NodeId& id) override;
  Result<std::vector<BlockMark>> block_marks(const Leaf& leaf) override;

 private:
  struct Place {
    std::uint64_t offset = 0;
    std::size_t bytes = 0;
  };
  Result<Place> keep(ByteSpan bytes);
  Result<ByteVector> read(const Place& place) const;
  using Ids = std::shared_ptr<const std::vector<BlockId>>;
  Result<Ids> segment_ids(const SegmentId& id);

  RandomFile& scratch_;
  NodeReader& nodes_;
  SegmentReader& segments_;
  std::uint64_t used_ = 0;
  std::map<NodeId, Place> kept_nodes_;
  std::map<SegmentId, Place> directories_;
  LruCache<SegmentId, Ids, IdHash> recent_{1024};  // 32 MiB
  std::set<NodeId> used_nodes_;
  std::set<SegmentId> used_segments_;
};

}  // namespace ashlar
