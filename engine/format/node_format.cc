#include "format/node_format.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>

#include "codec/hash.h"
#include "format/cursor.h"

namespace ashlar {
namespace {

constexpr std::uint8_t kLeafMark = 1;
constexpr std::uint8_t kInnerMark = 2;
constexpr std::uint8_t kNoRegionHashes = 1;  // a leaf's flag

static_assert(leaves_below(kMaxLevel) * kLeafBytes >= kMaxVolumeBytes);

Error damaged(std::string_view what) { return corrupt(fmt::format("manifest node: {}", what)); }

Status check_mark(ByteReader& in, std::uint8_t mark) {
  if (in.u8() != mark || !in.ok()) return damaged("of an unexpected kind");
  const auto version = in.u8();
  if (version > kNodeVersion) return unsupported("manifest node: newer format version");
  if (version < kNodeVersion) return damaged("impossible version");
  return {};
}

bool mergeable(const LeafExtent& a, const LeafExtent& b) {
  if (a.kind != b.kind) return false;
  return a.kind != ExtentKind::kData ||
         (a.segment == b.segment && a.first_block + a.block_count == b.first_block);
}

Status check_extent(const LeafExtent& extent, std::size_t segment_count) {
  if (extent.block_count == 0 || extent.block_count > kLeafBlocks)
    return damaged("extent of impossible length");
  if (extent.kind == ExtentKind::kData) {
    if (extent.segment >= segment_count) return damaged("extent of an unlisted segment");
    if (extent.first_block + extent.block_count > kSegmentBlocks)
      return damaged("extent runs past its segment");
  } else if (extent.segment != 0 || extent.first_block != 0) {
    return damaged("extent without data names a segment");
  }
  return {};
}

Status decode_extents(ByteReader& in, std::size_t count, Leaf& leaf) {
  leaf.extents.reserve(count);
  std::size_t next_new_segment = 0;
  for (std::size_t i = 0; i < count; ++i) {
    LeafExtent extent;
    const auto kind = in.u8();
    if (kind < 1 || kind > 4 || in.u8() != 0) return damaged("unknown extent kind");
    extent.kind = static_cast<ExtentKind>(kind);
    extent.block_count = in.u16();
    extent.segment = in.u16();
    extent.first_block = in.u16();
    TRY(check_extent(extent, leaf.segments.size()));
    if (!leaf.extents.empty() && mergeable(leaf.extents.back(), extent))
      return damaged("extents are not merged");
    if (extent.kind == ExtentKind::kData) {
      if (extent.segment > next_new_segment) return damaged("segments are not in the order of their use");
      if (extent.segment == next_new_segment) ++next_new_segment;
    }
    leaf.extents.push_back(extent);
  }
  if (next_new_segment != leaf.segments.size()) return damaged("a listed segment is not used");
  return {};
}

}  // namespace

std::uint32_t Leaf::block_count() const {
  std::uint32_t total = 0;
  for (const LeafExtent& extent : extents) total += extent.block_count;
  return total;
}

const RegionHash* Leaf::region(std::size_t index) const {
  const std::uint64_t bit = std::uint64_t{1} << index;
  if ((region_mask & bit) == 0) return nullptr;
  return &regions[static_cast<std::size_t>(std::popcount(region_mask & (bit - 1)))];
}

ByteVector encode(const Leaf& leaf) {
  ByteWriter out;
  out.u8(kLeafMark);
  out.u8(kNodeVersion);
  out.u8(leaf.no_region_hashes ? kNoRegionHashes : 0);
  out.u8(0);
  out.u16(static_cast<std::uint16_t>(leaf.block_count()));
  out.u16(static_cast<std::uint16_t>(leaf.segments.size()));
  out.u16(static_cast<std::uint16_t>(leaf.extents.size()));
  out.zeros(6);
  out.u64(leaf.region_mask);
  out.bytes(leaf.digest.span());
  out.bytes(std::as_bytes(std::span(leaf.segments)));
  for (const LeafExtent& extent : leaf.extents) {
    out.u8(static_cast<std::uint8_t>(extent.kind));
    out.u8(0);
    out.u16(extent.block_count);
    out.u16(extent.segment);
    out.u16(extent.first_block);
  }
  out.bytes(std::as_bytes(std::span(leaf.regions)));
  return out.take();
}

Result<Leaf> decode_leaf(ByteSpan bytes) {
  ByteReader in(bytes);
  TRY(check_mark(in, kLeafMark));
  const std::uint8_t flags = in.u8();
  if ((flags & ~kNoRegionHashes) != 0 || in.u8() != 0) return damaged("unknown flags");
  const std::uint32_t blocks = in.u16();
  const std::size_t segments = in.u16();
  const std::size_t extents = in.u16();
  if (blocks == 0 || blocks > kLeafBlocks || segments > blocks || extents == 0 || extents > blocks) {
    return damaged("leaf with impossible counts");
  }
  if (!in.reserved(6)) return damaged("a reserved field is in use");
  Leaf leaf;
  leaf.no_region_hashes = flags == kNoRegionHashes;
  leaf.region_mask = in.u64();
  if (leaf.no_region_hashes && leaf.region_mask != 0)
    return damaged("hashes in a leaf without region hashes");
  in.copy(leaf.digest.span());
  leaf.segments.resize(segments);
  in.copy(std::as_writable_bytes(std::span(leaf.segments)));
  auto distinct = leaf.segments;
  std::ranges::sort(distinct);
  if (std::ranges::adjacent_find(distinct) != distinct.end()) return damaged("a segment is listed twice");
  TRY(decode_extents(in, extents, leaf));
  if (leaf.block_count() != blocks) return damaged("extents do not cover the leaf");
  const std::uint64_t regions_covered = (blocks + kRegionBlocks - 1) / kRegionBlocks;
  if (regions_covered < 64 && leaf.region_mask >> regions_covered != 0)
    return damaged("region hash past the end");
  leaf.regions.resize(static_cast<std::size_t>(std::popcount(leaf.region_mask)));
  in.copy(std::as_writable_bytes(std::span(leaf.regions)));
  if (!in.done()) return damaged("leaf has a wrong length");
  return leaf;
}

ByteVector encode(const InnerNode& node) {
  ByteWriter out;
  out.u8(kInnerMark);
  out.u8(kNodeVersion);
  out.u8(node.level);
  out.u8(0);
  out.u16(static_cast<std::uint16_t>(node.children.size()));
  out.u16(0);
  for (const NodeRef& child : node.children) out.u8(static_cast<std::uint8_t>(child.kind));
  for (const NodeRef& child : node.children) {
    if (child.is_node()) out.bytes(child.id.span());
    out.bytes(child.digest.span());
  }
  return out.take();
}

Result<InnerNode> decode_inner_node(ByteSpan bytes) {
  ByteReader in(bytes);
  TRY(check_mark(in, kInnerMark));
  InnerNode node;
  node.level = in.u8();
  if (node.level < 1 || node.level > kMaxLevel || in.u8() != 0) return damaged("impossible level");
  const std::size_t count = in.u16();
  if (count == 0 || count > kFanout || !in.reserved(2)) return damaged("impossible child count");
  node.children.resize(count);
  for (NodeRef& child : node.children) {
    const auto kind = in.u8();
    if (kind < 1 || kind > 3) return damaged("unknown child kind");
    child.kind = static_cast<ChildKind>(kind);
  }
  for (NodeRef& child : node.children) {
    if (child.is_node()) in.copy(child.id.span());
    in.copy(child.digest.span());
  }
  if (!in.done()) return damaged("inner node has a wrong length");
  return node;
}

NodeId node_id(ByteSpan encoding) { return NodeId{sha256("ashlar node v1", encoding)}; }

Leaf without_region_hashes(Leaf leaf) {
  leaf.no_region_hashes = true;
  leaf.region_mask = 0;
  leaf.regions.clear();
  return leaf;
}

BlockMark zero_block_mark() { return {}; }

BlockMark unreadable_block_mark() {
  BlockMark mark;
  mark.bytes.fill(std::byte{0xff});
  return mark;
}

ContentDigest leaf_digest(std::span<const BlockMark> blocks) {
  return ContentDigest{sha256("ashlar leaf content v1", std::as_bytes(blocks))};
}

ContentDigest inner_digest(std::uint8_t level, std::span<const NodeRef> children) {
  Sha256Hasher hasher;
  hasher.update(as_byte_span("ashlar inner content v1"));
  hasher.update(std::as_bytes(std::span(&level, 1)));
  for (const NodeRef& child : children) hasher.update(child.digest.span());
  return ContentDigest{hasher.finish()};
}

ContentDigest volume_digest(ByteCount size, std::uint8_t level, const ContentDigest& root) {
  ByteWriter body;
  body.u64(size.value);
  body.u8(level);
  body.bytes(root.span());
  return ContentDigest{sha256("ashlar volume content v1", body.span())};
}

std::uint8_t root_level(BlockCount volume_blocks) {
  std::uint8_t level = 0;
  while (leaves_below(level) * kLeafBlocks < volume_blocks.value) ++level;
  return level;
}

ContentDigest zero_digest(std::uint8_t level, BlockCount blocks) {
  if (level == 0) {
    const std::vector<BlockMark> zeros(std::min<std::uint64_t>(blocks.value, kLeafBlocks), zero_block_mark());
    return leaf_digest(zeros);
  }
  // All full children have the same digest, so each level needs one call for them; only the last child may be
  // shorter.
  const auto below = static_cast<std::uint8_t>(level - 1);
  const std::uint64_t child_blocks = leaves_below(below) * kLeafBlocks;
  const std::uint64_t full = std::min<std::uint64_t>(blocks.value / child_blocks, kFanout);
  std::vector<NodeRef> children;
  if (full > 0)
    children.assign(full, NodeRef{ChildKind::kZero, {}, zero_digest(below, BlockCount{child_blocks})});
  const std::uint64_t rest = full == kFanout ? 0 : blocks.value % child_blocks;
  if (rest > 0) children.push_back(NodeRef{ChildKind::kZero, {}, zero_digest(below, BlockCount{rest})});
  return inner_digest(level, children);
}

}  // namespace ashlar
