// The bytes of manifest nodes. Page: docs/format/manifest.md. All integers little-endian.
//
// A leaf covers up to 1024 blocks (4 MiB) of a volume; an inner node has up to 256 children. Encodings are
// canonical: equal contents give equal bytes and so equal ids. A node's id is a SHA-256 over its encoding. A
// node carries no checksum; its reader compares the id.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "base/id.h"
#include "base/quantity.h"
#include "base/result.h"

namespace ashlar {

inline constexpr std::uint8_t kNodeVersion = 2;
inline constexpr std::size_t kFanout = 256;
inline constexpr std::uint8_t kMaxLevel =
    5;  // level 4 covers 256^4 leaves, 16 PiB; volumes have up to 64 PiB
inline constexpr std::size_t kMaxNodeBytes = 64UL * 1024;

enum class ExtentKind : std::uint8_t {
  kData = 1,         // blocks of one segment
  kZero = 2,         // reads as zeros and must be written as zeros
  kUnallocated = 3,  // was a hole or discarded; reads as zeros
  kUnreadable = 4,   // lost at the source: reading it is an error
};

// A run of blocks of a leaf. For kData these are the blocks from first_block on of leaf.segments[segment].
struct LeafExtent {
  ExtentKind kind = ExtentKind::kUnallocated;
  std::uint16_t block_count = 0;
  std::uint16_t segment = 0;
  std::uint16_t first_block = 0;
  friend bool operator==(const LeafExtent&, const LeafExtent&) = default;
};

struct Leaf {
  std::vector<SegmentId> segments;  // in the order of their first use by an extent, each once
  std::vector<LeafExtent> extents;  // cover the leaf from its first block on; no gaps, merged where possible
  bool no_region_hashes = false;    // a copy from another store: region_mask is 0
  std::uint64_t region_mask = 0;    // bit r is set when `regions` holds the hash of region r
  std::vector<RegionHash> regions;  // a hash for each set bit, ascending by bit
  ContentDigest digest;             // leaf_digest() of its block marks

  std::uint32_t block_count() const;
  const RegionHash* region(std::size_t index) const;  // nullptr when the bit is clear
  friend bool operator==(const Leaf&, const Leaf&) = default;
};

// The kinds of a subtree: a constant or a node.
enum class ChildKind : std::uint8_t { kZero = 1, kUnallocated = 2, kNode = 3 };
struct NodeRef {
  ChildKind kind = ChildKind::kUnallocated;
  NodeId id;             // zero for constants
  ContentDigest digest;  // digest of what the subtree reads as; kept for constants too
  bool is_node() const { return kind == ChildKind::kNode; }
  friend bool operator==(const NodeRef&, const NodeRef&) = default;
};

struct InnerNode {
  std::uint8_t level = 1;  // 1: its children are leaves
  std::vector<NodeRef> children;
  friend bool operator==(const InnerNode&, const InnerNode&) = default;
};

ByteVector encode(const Leaf& leaf);
ByteVector encode(const InnerNode& node);
Result<Leaf> decode_leaf(ByteSpan bytes);
Result<InnerNode> decode_inner_node(ByteSpan bytes);
NodeId node_id(ByteSpan encoding);

// Returns the leaf as it leaves its store: region hashes are left out. It reads the same and has the same
// digest.
Leaf without_region_hashes(Leaf leaf);

// Content digests name what is read, not where it is stored. ZERO and UNALLOCATED blocks both count as the
// all-zero mark, because a reader can't tell them apart; an UNREADABLE block counts as the all-ones mark.
BlockMark zero_block_mark();
BlockMark unreadable_block_mark();
ContentDigest leaf_digest(std::span<const BlockMark> blocks);
ContentDigest inner_digest(std::uint8_t level, std::span<const NodeRef> children);
// Returns the digest of a whole volume from its size in bytes and its root.
ContentDigest volume_digest(ByteCount size, std::uint8_t root_level, const ContentDigest& root);

// Returns the level of the root of a volume's tree: 0 when one leaf covers the volume.
std::uint8_t root_level(BlockCount volume_blocks);
// Returns the number of leaves below a node of `level`.
constexpr std::uint64_t leaves_below(std::uint8_t level) { return std::uint64_t{1} << (8U * level); }
// Returns the digest of `blocks` blocks of zeros as a subtree of `level`; `blocks` may be fewer than the
// level covers.
ContentDigest zero_digest(std::uint8_t level, BlockCount blocks);

}  // namespace ashlar
