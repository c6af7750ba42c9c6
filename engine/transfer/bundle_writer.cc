#include "transfer/bundle_writer.h"

#include "manifest/store_block_ids.h"
#include "transfer/stored_segment.h"
#include "transfer/tree_visit.h"

namespace ashlar {
namespace {

constexpr std::size_t kWindow = 16;  // segments in memory at a time, up to 4 MiB each

// Counts and hashes what goes out.
class Output {
 public:
  explicit Output(const WriteBytes& write) : write_(write) { hasher_.begin(); }

  Status put(ByteSpan bytes) {
    hasher_.update(bytes);
    bytes_ += bytes.size();
    return write_(bytes);
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
    TRY(write_(head));
    return write_(end);
  }
  std::uint64_t bytes() const { return bytes_; }

 private:
  const WriteBytes& write_;
  Sha256Hasher hasher_;
  std::uint64_t bytes_ = 0;
  std::uint64_t items_ = 0;
};

// What the other side has: nothing of it goes out.
class Base : public TreeVisitor {
 public:
  Status visit_leaf(const NodeRef& ref, const Leaf& leaf) override {
    nodes.insert(ref.id);
    segments.insert(leaf.segments.begin(), leaf.segments.end());
    return {};
  }
  Status visit_inner(const NodeRef& ref, const InnerNode& /*node*/) override {
    nodes.insert(ref.id);
    return {};
  }

  std::set<NodeId> nodes;
  std::set<SegmentId> segments;
};

class Writer : public TreeVisitor {
 public:
  Writer(const CopySource& source, Base& base, Output& output, CopyProgress& progress,
         const std::stop_token& stop)
      : source_(source), base_(base), output_(output), progress_(progress), stop_(stop) {}

  Status visit_leaf(const NodeRef& ref, const Leaf& leaf) override {
    TRY(check_digest(leaf, block_ids_));
    for (const SegmentId& segment : leaf.segments) {
      if (!base_.segments.insert(segment).second) continue;
      waiting_.push_back(segment);
      if (waiting_.size() == kWindow) TRY(send_waiting());
    }
    for (const LeafExtent& extent : leaf.extents) {
      if (extent.kind == ExtentKind::kData)
        progress_.done_bytes += byte_count(BlockCount{extent.block_count}).value;
    }
    return put_node(ref, encode(leaf));
  }
  Status visit_inner(const NodeRef& ref, const InnerNode& node) override {
    return put_node(ref, encode(node));
  }

  Status send_waiting() {
    auto window = TRY(read_stored_segments(source_.segments, waiting_, stop_));
    waiting_.clear();
    for (const EncodedSegment& segment : window) {
      TRY(output_.put_item(BundleItem::kSegment, {encode(segment.directory), segment.payload}));
      progress_.sent_bytes += segment.payload.size();
      ++segments;
    }
    return {};
  }

  std::uint64_t segments = 0;
  std::uint64_t nodes = 0;

 private:
  Status put_node(const NodeRef& ref, const ByteVector& encoding) {
    if (!base_.nodes.insert(ref.id).second) return {};
    ++nodes;
    return output_.put_item(BundleItem::kNode, {encoding});
  }

  const CopySource& source_;
  StoreBlockIds block_ids_{source_.segments};
  Base& base_;
  Output& output_;
  CopyProgress& progress_;
  const std::stop_token& stop_;
  std::vector<SegmentId> waiting_;
};

}  // namespace

Result<ExportReport> write_bundle(const CopySource& source, const BundleHeader& header,
                                  const ImageRecord& image, const std::vector<SnapshotRecord>& snapshots,
                                  const std::vector<SnapshotRecord>& since, const WriteBytes& write,
                                  CopyProgress& progress, const std::stop_token& stop) {
  for (const SnapshotRecord& record : snapshots) progress.total_bytes += byte_count(record.data_blocks).value;
  Base base;
  std::set<SeenNode> seen;
  for (const SnapshotRecord& record : since) TRY(visit_tree(source.nodes, record, seen, base, stop));
  Output output(write);
  TRY(output.put(encode(header)));
  const std::string text = encode(image);
  TRY(output.put_item(BundleItem::kImage, {as_byte_span(text)}));
  for (const SnapshotRecord& record : snapshots)
    TRY(output.put_item(BundleItem::kSnapshot, {encode(record)}));
  Writer writer(source, base, output, progress, stop);
  seen.clear();
  for (const SnapshotRecord& record : snapshots) TRY(visit_tree(source.nodes, record, seen, writer, stop));
  TRY(writer.send_waiting());
  TRY(output.put_end());
  return ExportReport{output.bytes(), writer.segments, writer.nodes};
}

}  // namespace ashlar
