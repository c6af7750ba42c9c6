#include "transfer/bundle_staging.h"

#include <cstring>

namespace ashlar {

Result<BundleStaging::Place> BundleStaging::keep(ByteSpan bytes) {
  if (used_ + bytes.size() > TRY(scratch_.size()))
    return Error(ErrorCode::kExhausted, "the bundle is larger than a store can take in at once");
  TRY(scratch_.write_at(used_, bytes));
  const Place place{used_, bytes.size()};
  used_ += bytes.size();
  return place;
}

Result<ByteVector> BundleStaging::read(const Place& place) const {
  ByteVector bytes(place.bytes);
  if (TRY(scratch_.read_at(place.offset, bytes)) != bytes.size())
    return Error(ErrorCode::kIo, "the scratch file is short");
  return bytes;
}

Status BundleStaging::add_node(ByteSpan encoding) {
  const auto leaf = decode_leaf(encoding);
  if (!leaf.ok()) {
    auto inner = decode_inner_node(encoding);
    if (!inner.ok()) return inner.take_error();
  } else if (!leaf.value().no_region_hashes) {
    return corrupt("a leaf carries region hashes, which never leave a store");
  }
  const NodeId id = node_id(encoding);
  if (kept_nodes_.contains(id)) return corrupt("a node comes twice");
  kept_nodes_.emplace(id, TRY(keep(encoding)));
  return {};
}

Status BundleStaging::add_segment(const SegmentDirectory& directory) {
  if (directories_.contains(directory.id)) return corrupt("a segment comes twice");
  const auto& ids = directory.blocks;
  directories_.emplace(directory.id, TRY(keep(std::as_bytes(std::span(ids)))));
  return {};
}

Result<std::shared_ptr<const Leaf>> BundleStaging::leaf(const NodeId& id) {
  const auto found = kept_nodes_.find(id);
  if (found == kept_nodes_.end()) return nodes_.leaf(id);
  used_nodes_.insert(id);
  return std::make_shared<const Leaf>(TRY(decode_leaf(TRY(read(found->second)))));
}

Result<std::shared_ptr<const InnerNode>> BundleStaging::inner(const NodeId& id) {
  const auto found = kept_nodes_.find(id);
  if (found == kept_nodes_.end()) return nodes_.inner(id);
  used_nodes_.insert(id);
  return std::make_shared<const InnerNode>(TRY(decode_inner_node(TRY(read(found->second)))));
}

Result<BundleStaging::Ids> BundleStaging::segment_ids(const SegmentId& id) {
  if (const Ids* held = recent_.get(id)) return *held;
  std::vector<BlockId> ids;
  const auto found = directories_.find(id);
  if (found == directories_.end()) {
    ids = TRY(segments_.locate(id))->directory.blocks;
  } else {
    used_segments_.insert(id);
    const ByteVector bytes = TRY(read(found->second));
    ids.resize(bytes.size() / BlockId::kBytes);
    std::memcpy(ids.data(), bytes.data(), ids.size() * BlockId::kBytes);
  }
  auto kept = std::make_shared<const std::vector<BlockId>>(std::move(ids));
  recent_.put(id, kept);
  return Ids(kept);
}

Result<std::vector<BlockMark>> BundleStaging::block_marks(const Leaf& leaf) {
  return block_marks_of(leaf, [this](const SegmentId& id) { return segment_ids(id); });
}

}  // namespace ashlar
