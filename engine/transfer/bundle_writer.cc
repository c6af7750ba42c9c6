#include "transfer/bundle_writer.h"

#include <algorithm>
#include <map>
#include <set>

#include "manifest/store_block_marks.h"
#include "manifest/tree_visit.h"
#include "store/stored_blocks.h"
#include "transfer/bundle_cuts.h"
#include "transfer/outgoing_nodes.h"
#include "transfer/stored_segment.h"

namespace ashlar {
namespace {

constexpr std::size_t kWindow = 16;  // segments in memory at a time, up to 4 MiB each

// Counts and hashes the bytes that are written.
class Output {
 public:
  explicit Output(const BundleOutput& output) : output_(output) { hasher_.begin(); }

  Status put(ByteSpan bytes) {
    hasher_.update(bytes);
    bytes_ += bytes.size();
    return output_.write(bytes);
  }
  Status put_item(BundleItem type, std::initializer_list<ByteSpan> parts) {
    ByteVector payload;
    for (const ByteSpan part : parts) payload.insert(payload.end(), part.begin(), part.end());
    TRY(put(encode(BundleItemHead{type, static_cast<std::uint32_t>(payload.size()), checksum64(payload)})));
    ++items_;
    return put(payload);
  }
  Status put_end() {
    const ByteVector end = encode(BundleEnd{items_, hasher_.finish()});
    const ByteVector head =
        encode(BundleItemHead{BundleItem::kEnd, static_cast<std::uint32_t>(end.size()), checksum64(end)});
    bytes_ += head.size() + end.size();
    TRY(output_.write(head));
    return output_.write(end);
  }
  Status cut() { return output_.cut(); }
  std::uint64_t bytes() const { return bytes_; }

 private:
  const BundleOutput& output_;
  Sha256Hasher hasher_;
  std::uint64_t bytes_ = 0;
  std::uint64_t items_ = 0;
};

// Collects the nodes, as they leave the store, and the blocks that the receiver has; they are not exported.
class Base : public TreeVisitor {
 public:
  explicit Base(OutgoingNodes& outgoing) : outgoing_(outgoing) {}

  Status visit_leaf(const NodeRef& ref, const Leaf& leaf) override {
    nodes.insert(TRY(outgoing_.leaf(ref, leaf)).id);
    const std::vector<SegmentBlocks> used = blocks_used(leaf);
    for (std::size_t i = 0; i < used.size(); ++i) blocks[leaf.segments[i]] |= used[i];
    return {};
  }
  Status visit_inner(const NodeRef& ref, const InnerNode& node) override {
    nodes.insert(TRY(outgoing_.inner(ref, node)).id);
    return {};
  }

  std::set<NodeId> nodes;
  std::map<SegmentId, SegmentBlocks> blocks;  // those that the receiver has

 private:
  OutgoingNodes& outgoing_;
};

// Finds the segments to export, and the ids that the nodes have outside.
class Contents : public TreeVisitor {
 public:
  Contents(SegmentReader& reader, Base& base, OutgoingNodes& outgoing)
      : reader_(reader), base_(base), outgoing_(outgoing) {}

  Status visit_leaf(const NodeRef& ref, const Leaf& leaf) override {
    TRY(check_digest(leaf, block_marks_));
    const std::vector<SegmentBlocks> used = blocks_used(leaf);
    for (std::size_t i = 0; i < used.size(); ++i) {
      const SegmentId& id = leaf.segments[i];
      if ((used[i] & ~base_.blocks[id]).none()) continue;
      const auto [known, is_new] = wanted.try_emplace(id);
      known->second |= used[i];
      if (!is_new) continue;
      const SegmentPlace place = TRY(reader_.place_of(id));
      segments.push_back({place.pack, place.entry.payload_offset, id, place.entry.block_count});
    }
    TRY(outgoing_.leaf(ref, leaf));
    return {};
  }
  Status visit_inner(const NodeRef& ref, const InnerNode& node) override {
    TRY(outgoing_.inner(ref, node));
    return {};
  }

  std::vector<BundleSegment> segments;
  std::map<SegmentId, SegmentBlocks> wanted;  // the blocks of each that are needed

 private:
  SegmentReader& reader_;
  Base& base_;
  OutgoingNodes& outgoing_;
  StoreBlockMarks block_marks_{reader_};
};

Status put_segments(const ReadParts& source, const Contents& contents, Output& output, CopyProgress& progress,
                    const std::stop_token& stop) {
  const std::vector<BundleSegment>& row = contents.segments;
  const BundleCuts cuts(row);
  for (std::size_t first = 0; first < row.size(); first += kWindow) {
    const std::size_t end = std::min(first + kWindow, row.size());
    std::vector<WantedSegment> wanted;
    wanted.reserve(kWindow);
    for (std::size_t i = first; i < end; ++i) wanted.push_back({row[i].id, contents.wanted.at(row[i].id)});
    const auto window = TRY(read_stored_segments(source.segments, wanted, stop));
    for (std::size_t i = first; i < end; ++i) {
      const EncodedSegment& segment = window[i - first];
      if (i == 0 || cuts.between(row[i - 1], row[i])) TRY(output.cut());
      TRY(output.put_item(BundleItem::kSegment, {encode(segment.directory), segment.payload}));
      progress.sent_bytes += segment.payload.size();
      progress.done_bytes += byte_count(BlockCount{row[i].blocks}).value;
    }
  }
  return {};
}

class NodeItems : public TreeVisitor {
 public:
  NodeItems(Base& base, OutgoingNodes& outgoing, Output& output)
      : base_(base), outgoing_(outgoing), output_(output) {}

  Status visit_leaf(const NodeRef& ref, const Leaf& leaf) override {
    return put(TRY(outgoing_.leaf(ref, leaf)));
  }
  Status visit_inner(const NodeRef& ref, const InnerNode& node) override {
    return put(TRY(outgoing_.inner(ref, node)));
  }

  std::uint64_t nodes = 0;

 private:
  Status put(const OutgoingNodes::Node& node) {
    if (!base_.nodes.insert(node.id).second) return {};
    ++nodes;
    return output_.put_item(BundleItem::kNode, {node.encoding});
  }

  Base& base_;
  OutgoingNodes& outgoing_;
  Output& output_;
};

Status visit_trees(const ReadParts& source, const std::vector<SnapshotRecord>& snapshots,
                   TreeVisitor& visitor, const std::stop_token& stop) {
  std::set<SeenNode> seen;
  for (const SnapshotRecord& record : snapshots) TRY(visit_tree(source.nodes, record, seen, visitor, stop));
  return {};
}

}  // namespace

Result<ExportReport> write_bundle(const ReadParts& source, const BundleHeader& header,
                                  const ImageRecord& image, const std::vector<SnapshotRecord>& snapshots,
                                  const std::vector<SnapshotRecord>& since, const BundleOutput& output,
                                  CopyProgress& progress, const std::stop_token& stop) {
  OutgoingNodes outgoing(RegionHashes::kLeaveOut);
  Base base(outgoing);
  TRY(visit_trees(source, since, base, stop));
  Contents contents(source.segments, base, outgoing);
  TRY(visit_trees(source, snapshots, contents, stop));
  std::ranges::sort(contents.segments);
  for (const BundleSegment& segment : contents.segments)
    progress.total_bytes += byte_count(BlockCount{segment.blocks}).value;

  Output out(output);
  TRY(out.put(encode(header)));
  const std::string text = encode(image);
  TRY(out.put_item(BundleItem::kImage, {as_byte_span(text)}));
  for (const SnapshotRecord& record : snapshots)
    TRY(out.put_item(BundleItem::kSnapshot, {encode(TRY(outgoing.record(record)))}));
  TRY(put_segments(source, contents, out, progress, stop));
  TRY(out.cut());
  NodeItems nodes(base, outgoing, out);
  TRY(visit_trees(source, snapshots, nodes, stop));
  TRY(out.put_end());
  return ExportReport{out.bytes(), contents.segments.size(), nodes.nodes};
}

}  // namespace ashlar
