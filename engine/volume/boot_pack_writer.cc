// Making of a boot pack: for each region the nodes on the way to it, the directories of the segments that it
// lies in, and its frames, each once.
#include <unordered_map>
#include <unordered_set>

#include "base/random.h"
#include "catalog/traces.h"
#include "format/boot_pack_format.h"
#include "format/cursor.h"
#include "manifest/tree.h"
#include "volume/boot_pack.h"

namespace ashlar {
namespace {

class Maker {
 public:
  Maker(const WarmParts& parts, const BaseImage& image, std::unique_ptr<ObjectWriter> object)
      : parts_(parts), root_(image.root()), object_(std::move(object)) {}

  Status begin(const BootPackHeader& header) {
    bytes_ = kBootPackHeaderBytes;
    return object_->append(encode(header));
  }

  Status add_region(std::uint64_t region) {
    TRY(add_needs_of(region));
    ByteWriter number;
    number.u64(region);
    return append({BootItemKind::kRegion, 0, 0, 0}, number.span());
  }

  bool is_full() const { return bytes_ + kSegmentBytes > kMaxBootPackBytes; }
  bool is_empty() const { return frames_.empty(); }
  Result<std::uint64_t> finish() {
    TRY(object_->finish());
    return bytes_;
  }

 private:
  Status add_needs_of(std::uint64_t region) {
    const std::uint64_t index = region / kTraceRegionsOfLeaf;
    if (index >= leaf_count(root_.blocks)) return {};
    const auto leaf = TRY(add_way_to(index));
    if (!leaf) return {};
    const std::size_t first = region % kTraceRegionsOfLeaf * kTraceRegionBlocks;
    const std::size_t end = first + kTraceRegionBlocks;
    std::size_t at = 0;
    for (const LeafExtent& extent : leaf->extents) {
      const std::size_t from = std::max(at, first);
      const std::size_t to = std::min<std::size_t>(at + extent.block_count, end);
      if (extent.kind == ExtentKind::kData && from < to) {
        TRY(add_blocks(leaf->segments[extent.segment], extent.first_block + (from - at), to - from));
      }
      at += extent.block_count;
    }
    return {};
  }

  // Adds the inner nodes and the leaf that lead to leaf `index`, and returns the leaf; returns null when it
  // lies in a constant.
  Result<std::shared_ptr<const Leaf>> add_way_to(std::uint64_t index) {
    LeafCursor cursor(parts_.nodes, root_);
    for (std::uint8_t level = root_.level; level > 0; --level) {
      const Subtree at = TRY(cursor.subtree(level, index));
      if (!at.ref.is_node()) return std::shared_ptr<const Leaf>();
      if (!nodes_.insert(at.ref.id).second) continue;
      const auto inner = TRY(parts_.nodes.inner(at.ref.id));
      TRY(append({BootItemKind::kInnerNode, 0, 0, 0}, encode(*inner)));
    }
    const LeafSpan span = TRY(cursor.at(index));
    if (!span.ref.is_node()) return std::shared_ptr<const Leaf>();
    auto leaf = TRY(cursor.load(span));
    if (nodes_.insert(span.ref.id).second) TRY(append({BootItemKind::kLeaf, 0, 0, 0}, encode(*leaf)));
    return leaf;
  }

  Status add_blocks(const SegmentId& id, std::size_t first, std::size_t count) {
    const auto segment = TRY(parts_.segments.locate(id));
    if (first + count > segment->directory.blocks.size()) return corrupt("an extent runs past its segment");
    const auto [place, is_new] = segments_.emplace(id, static_cast<std::uint32_t>(segments_.size()));
    if (is_new) TRY(append({BootItemKind::kDirectory, 0, 0, 0}, encode(segment->directory)));
    for (std::size_t frame = segment->frame_of(first); frame <= segment->frame_of(first + count - 1);
         ++frame) {
      if (!frames_.insert(std::uint64_t{place->second} << 16U | frame).second) continue;
      ByteVector stored(segment->directory.frames[frame].stored_bytes);
      TRY(TRY(parts_.segments.pack(segment->place.pack))->read_raw(segment->frame_offsets[frame], stored));
      TRY(append({BootItemKind::kFrame, static_cast<std::uint16_t>(frame), place->second, 0}, stored));
    }
    return {};
  }

  Status append(BootItemHeader header, ByteSpan bytes) {
    header.bytes = static_cast<std::uint32_t>(bytes.size());
    TRY(object_->append(encode(header)));
    TRY(object_->append(bytes));
    bytes_ += kBootItemHeaderBytes + bytes.size();
    return {};
  }

  const WarmParts& parts_;
  const TreeRoot root_;
  std::unique_ptr<ObjectWriter> object_;
  std::uint64_t bytes_ = 0;
  std::unordered_set<NodeId, IdHash> nodes_;
  std::unordered_map<SegmentId, std::uint32_t, IdHash> segments_;
  std::unordered_set<std::uint64_t> frames_;  // number of the segment << 16 | frame
};

}  // namespace

Result<MadeBootPack> make_boot_pack(const WarmParts& parts, const BaseImage& image, const StoreId& store,
                                    const RegionOrder& order) {
  MadeBootPack made;
  made.id = random_id<BootPackId>();
  Maker maker(parts, image, TRY(parts.objects.create(boot_pack_key(image.id(), made.id))));
  TRY(maker.begin({made.id, image.id(), store}));
  for (const std::uint64_t region : order) {
    if (maker.is_full()) break;
    TRY(maker.add_region(region));
  }
  if (!maker.is_empty()) made.bytes = TRY(maker.finish());
  return made;
}

}  // namespace ashlar
