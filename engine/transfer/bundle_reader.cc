#include "transfer/bundle_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <set>

#include "base/parallel.h"
#include "catalog/images.h"
#include "image/contents.h"
#include "manifest/tree_visit.h"
#include "store/pack_appender.h"
#include "store/stored_blocks.h"
#include "transfer/bundle_staging.h"
#include "transfer/returning_nodes.h"
#include "transfer/stored_segment.h"

namespace ashlar {
namespace {

constexpr std::size_t kWindow = 16;  // segments in memory at a time, up to 4 MiB each

Error damaged(std::string_view what) { return corrupt(fmt::format("bundle: {}", what)); }

// The items of a bundle. Each is checked against its checksum, and all of them against the end.
class Items {
 public:
  explicit Items(const ReadBytes& read) : read_(read) { hasher_.begin(); }

  Result<BundleHeader> header() {
    std::array<std::byte, kBundleHeaderBytes> bytes{};
    TRY(fill(bytes));
    hasher_.update(bytes);
    return decode_bundle_header(bytes);
  }

  struct Item {
    BundleItem type = BundleItem::kEnd;
    ByteVector payload;
  };
  // Returns the next item. The end is returned only when it is right and is the last item.
  Result<Item> next() {
    std::array<std::byte, kBundleItemHeadBytes> raw{};
    TRY(fill(raw));
    const BundleItemHead head = TRY(decode_bundle_item_head(raw));
    Item item{head.type, ByteVector(head.bytes)};
    TRY(fill(item.payload));
    if (checksum64(item.payload) != head.checksum) return damaged("the checksum of an item does not match");
    if (head.type == BundleItem::kEnd) {
      TRY(check_end(item.payload));
    } else {
      hasher_.update(raw);
      hasher_.update(item.payload);
      ++count_;
    }
    return item;
  }

 private:
  Status fill(MutableByteSpan out) {
    if (TRY(read_(out)) == out.size()) return {};
    return damaged("it is truncated: copy or export it again");
  }
  Status check_end(ByteSpan payload) {
    const BundleEnd end = TRY(decode_bundle_end(payload));
    if (end.items != count_ || end.digest != hasher_.finish())
      return damaged("its end record does not match its contents");
    std::array<std::byte, 1> more{};
    if (TRY(read_(more)) != 0) return damaged("there is data after its end");
    return {};
  }

  const ReadBytes& read_;
  Sha256Hasher hasher_;
  std::uint64_t count_ = 0;
};

class Import : private TreeVisitor {
 public:
  // `leaned` names the session, and so the packs that the import writes.
  Import(const ImportParts& parts, LeanedPacks& leaned, const ReadBytes& read, CopyProgress& progress,
         const std::stop_token& stop)
      : parts_(parts),
        items_(read),
        progress_(progress),
        stop_(stop),
        nodes_(
            parts.nodes, [this] { return own_base(); }, stop),
        staging_(parts.scratch, nodes_, parts.target.segments),
        there_(parts.target.segments, leaned),
        appender_(parts.target.objects, parts.target.index, parts.target.config.id, leaned.session()) {}

  Status take_in(const std::function<Status(const ImageRecord&)>& accept) {
    header_ = TRY(items_.header());
    auto item = TRY(items_.next());
    if (item.type != BundleItem::kImage) return damaged("it does not begin with an image");
    image_ = TRY(decode_image_record(as_text(item.payload)));
    TRY(check_image());
    TRY(accept(image_));
    while ((item = TRY(items_.next())).type == BundleItem::kSnapshot) TRY(take_snapshot(item.payload));
    TRY(check_contents(image_, snapshots_));
    for (; item.type != BundleItem::kEnd; item = TRY(items_.next())) {
      if (stop_.stop_requested()) return cancelled();
      TRY(take(item));
    }
    TRY(take_window());
    std::set<SeenNode> seen;
    for (const SnapshotRecord& record : snapshots_)
      TRY(visit_tree(staging_, record, seen, *this, stop_).with_context(missing_hint()));
    if (!staging_.all_were_used()) return damaged("it holds data that its image does not need");
    return {};
  }

  Result<ImageCopyReport> publish(PendingImage& pending, const ImageCopyOptions& options) {
    TRY(appender_.publish());
    const ImageOriginal original{header_.store, {parts_.target.segments, staging_}, image_, snapshots_};
    auto report = TRY(copy_image(original, parts_.target, pending, options, progress_, stop_));
    report.copy.segments_sent = new_segments_;
    report.copy.segment_bytes_sent = new_bytes_;
    return report;
  }

  // Publishes the segments so far. Their blocks are verified, so the next import of the bundle finds them.
  void keep_what_is_there() { best_effort(appender_.publish()); }

 private:
  Status check_image() const {
    if (image_.id != header_.image) return damaged("its header names another image");
    if (image_.state != ImageState::kAvailable) return damaged("its image is not available");
    return {};
  }

  Status take_snapshot(ByteSpan payload) {
    const std::vector<SnapshotId> wanted = snapshots_of(image_);
    SnapshotRecord record = TRY(decode_snapshot_record(payload));
    if (snapshots_.size() == wanted.size() || record.id != wanted[snapshots_.size()])
      return damaged("its snapshots are not those of its image");
    progress_.total_bytes += byte_count(record.data_blocks).value;
    snapshots_.push_back(std::move(record));
    return {};
  }

  Status take(Items::Item& item) {
    if (item.type == BundleItem::kNode) return staging_.add_node(item.payload).with_context("bundle");
    if (item.type != BundleItem::kSegment) return damaged("a record comes after the data");
    const ByteSpan bytes(item.payload);
    if (bytes.size() < kSegmentHeadBytes) return damaged("a segment is too short");
    const std::size_t size = TRY(segment_directory_bytes(bytes.first(kSegmentHeadBytes)));
    if (size > bytes.size()) return damaged("a segment is too short");
    EncodedSegment segment;
    segment.directory = TRY(decode_segment_directory(bytes.first(size)));
    segment.payload.assign(bytes.begin() + static_cast<std::ptrdiff_t>(size), bytes.end());
    window_.push_back(std::move(segment));
    return window_.size() < kWindow ? Status() : take_window();
  }

  // Checks the segments of the window and stores those that are missing. Segments that the store has are
  // checked too, because a bundle is accepted as a whole or not at all.
  Status take_window() {
    TRY(parallel_for(window_.size(), processor_count(), stop_, [&](std::size_t i) -> Status {
      const auto located = locate_segment({}, window_[i].directory);
      return check_frames(*located, window_[i].payload).with_context("bundle");
    }));
    for (EncodedSegment& segment : window_) {
      progress_.done_bytes += segment.directory.blocks.size() * kBlockBytes;
      TRY(staging_.add_segment(segment.directory).with_context("bundle"));
      if (TRY(there_.has(segment.directory.id, locate_segment({}, segment.directory)->present))) continue;
      ++new_segments_;
      new_bytes_ += segment.payload.size();
      progress_.sent_bytes += segment.payload.size();
      TRY(appender_.append(std::move(segment)));
    }
    window_.clear();
    return {};
  }

  Status visit_leaf(const NodeRef& /*ref*/, const Leaf& leaf) override {
    return check_digest(leaf, staging_);
  }
  Status visit_inner(const NodeRef& /*ref*/, const InnerNode& /*node*/) override { return {}; }

  // Returns the snapshots of the image that the bundle builds on, where this store made it, or made the image
  // that it is a copy of. A store that got it by copy or import has its nodes under the ids that the bundle
  // uses.
  Result<std::vector<SnapshotRecord>> own_base() const {
    const StoreId& own = parts_.target.config.id;
    ImageId base;
    if (header_.store == own) base = header_.since;
    if (header_.since_store == own) base = header_.since_original;
    if (base.value == 0) return std::vector<SnapshotRecord>();
    auto image = ImageCatalog(parts_.target.objects).get(base);
    if (is(image, ErrorCode::kNotFound)) return std::vector<SnapshotRecord>();
    return records_of(TRY(std::move(image)), parts_.target.snapshots);
  }

  std::string missing_hint() const {
    if (header_.since.value == 0) return "bundle";
    return fmt::format("bundle of what came since {}, which has to be in this store", header_.since.text());
  }

  const ImportParts& parts_;
  Items items_;
  CopyProgress& progress_;
  const std::stop_token& stop_;
  ReturningNodes nodes_;
  BundleStaging staging_;
  StoredBlocks there_;
  PackAppender appender_;
  BundleHeader header_;
  ImageRecord image_;
  std::vector<SnapshotRecord> snapshots_;
  std::vector<EncodedSegment> window_;
  std::uint64_t new_segments_ = 0;
  std::uint64_t new_bytes_ = 0;
};

}  // namespace

// An encoded header begins with the magic, which is the same in every bundle.
bool begins_as_bundle(ByteSpan bytes) {
  constexpr std::size_t kMagicBytes = 8;
  const ByteVector header = encode(BundleHeader{});
  return bytes.size() >= kMagicBytes &&
         std::ranges::equal(bytes.first(kMagicBytes), ByteSpan(header).first(kMagicBytes));
}

Result<ImageCopyReport> import_image(const ImportParts& parts, const ReadBytes& read,
                                     const std::function<Status(const ImageRecord&)>& accept,
                                     const ImageCopyOptions& options, CopyProgress& progress,
                                     const std::stop_token& stop) {
  const auto pending =
      TRY(PendingImage::begin(parts.target.objects, parts.target.config.id, PendingImage::Snapshots::kStay));
  TRY(parts.target.damage.refresh());
  Import import(parts, pending->leaned(), read, progress, stop);
  Status taken = import.take_in(accept);
  if (is(taken, ErrorCode::kCancelled)) {
    import.keep_what_is_there();
    pending->leave_packs();
  }
  TRY(std::move(taken));
  TRY(pending->check_session());
  return import.publish(*pending, options);
}

}  // namespace ashlar
