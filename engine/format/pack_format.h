// The bytes of a pack. Page: docs/format/pack.md. All integers little-endian.
//
// clang-format off
//   data pack  PackHeader (128) | frames of the first segment, of the second, … | directories | footer entries | PackTrailer (48)
//   meta pack  PackHeader (128) | encoded manifest nodes, back to back          |               footer entries | PackTrailer (48)
// clang-format on
//
// A pack is written front to back and published whole. Its trailer says where the directories and the footer
// begin, and they are its tail: one read of the tail tells everything that a data pack holds.
#pragma once

#include <cstdint>
#include <vector>

#include "base/id.h"
#include "base/quantity.h"
#include "base/result.h"
#include "codec/frame.h"

namespace ashlar {

inline constexpr std::uint16_t kPackVersion = 2;
inline constexpr std::size_t kPackHeaderBytes = 128;
inline constexpr std::size_t kPackTrailerBytes = 48;
inline constexpr std::size_t kSegmentHeadBytes = 24;     // the clear head, which gives a directory's length
inline constexpr std::size_t kSegmentHeaderBytes = 104;  // everything before the frame entries, the head too
inline constexpr std::size_t kFrameEntryBytes = 16;
inline constexpr std::size_t kSegmentEntryBytes = 64;
inline constexpr std::size_t kNodeEntryBytes = 48;
inline constexpr std::uint32_t kMaxFrameBlocks = 64;
inline constexpr std::uint32_t kMaxPackEntries = 1U << 20;  // the most that a footer may claim
inline constexpr std::size_t kMaxDirectoryBytes =
    kSegmentHeaderBytes + kSegmentBlocks * (kFrameEntryBytes + BlockId::kBytes);
// The most that directories, footer and trailer of a pack take up together. Readers hold them in memory.
inline constexpr std::uint64_t kMaxPackTailBytes = 128 << 20;

enum class PackKind : std::uint8_t { kData = 1, kMeta = 2 };

struct PackHeader {
  PackKind kind = PackKind::kData;
  StoreId store;
  PackId pack;
  // Returns where the contents begin, from the start of the pack.
  static constexpr std::uint64_t contents_offset() { return kPackHeaderBytes; }
  friend bool operator==(const PackHeader&, const PackHeader&) = default;
};
ByteVector encode(const PackHeader& header);
// Fails with kUnsupported for a pack that is encrypted.
Result<PackHeader> decode_pack_header(ByteSpan bytes);

// A frame of a segment. The frames of a segment lie in this order, without gaps.
struct FrameEntry {
  std::uint32_t stored_bytes = 0;
  FrameCodec codec = FrameCodec::kRaw;
  std::uint8_t block_count = 0;  // 1 to kMaxFrameBlocks
  std::uint64_t checksum = 0;    // XXH3-64 of the stored bytes
  friend bool operator==(const FrameEntry&, const FrameEntry&) = default;
};

// The content of a segment: its block ids in order, and the frames that carry the blocks.
struct SegmentDirectory {
  SegmentId id;  // segment_id(blocks): a hash over the block ids, so it survives compaction
  std::vector<FrameEntry> frames;
  std::vector<BlockId> blocks;  // 1 to kSegmentBlocks

  std::size_t encoded_bytes() const {
    return kSegmentHeaderBytes + frames.size() * kFrameEntryBytes + blocks.size() * BlockId::kBytes;
  }
  std::uint64_t payload_bytes() const;
};
SegmentId segment_id(std::span<const BlockId> blocks);
ByteVector encode(const SegmentDirectory& directory);
// Checks lengths, the checksum, frame counts and the id. Fails with kCorrupt when one of them is wrong.
Result<SegmentDirectory> decode_segment_directory(ByteSpan bytes);
// Returns the length of the directory that starts with these bytes, of which it reads the first
// kSegmentHeadBytes. Checks neither version nor checksum. The length is at most kMaxDirectoryBytes.
Result<std::size_t> segment_directory_bytes(ByteSpan head);

// The entries of a footer.
struct SegmentEntry {
  SegmentId id;
  std::uint64_t payload_offset = 0;    // where the first frame starts, from the start of the pack
  std::uint64_t directory_offset = 0;  // from the start of the pack
  std::uint32_t payload_bytes = 0;
  std::uint32_t directory_bytes = 0;
  std::uint32_t block_count = 0;
  friend bool operator==(const SegmentEntry&, const SegmentEntry&) = default;
};
struct NodeEntry {
  NodeId id;
  std::uint64_t offset = 0;
  std::uint32_t bytes = 0;
  friend bool operator==(const NodeEntry&, const NodeEntry&) = default;
};

struct PackTrailer {
  std::uint64_t footer_offset = 0;
  std::uint64_t directories_offset = 0;  // where the directories begin; the footer's offset in a meta pack
  std::uint32_t entry_count = 0;
  PackKind kind = PackKind::kData;
  std::uint64_t footer_checksum = 0;  // XXH3-64 of the footer entries
  std::size_t footer_bytes() const {
    return entry_count * (kind == PackKind::kData ? kSegmentEntryBytes : kNodeEntryBytes);
  }
};
// Encodes the footer and its trailer, ready to append at `footer_offset`.
ByteVector encode_footer(std::span<const SegmentEntry> entries, std::uint64_t directories_offset,
                         std::uint64_t footer_offset);
ByteVector encode_footer(std::span<const NodeEntry> entries, std::uint64_t footer_offset);
// Decodes the trailer of a pack of `pack_bytes` bytes in all. Refuses offsets that do not fit into the pack,
// and a tail that is longer than kMaxPackTailBytes.
Result<PackTrailer> decode_pack_trailer(ByteSpan bytes, std::uint64_t pack_bytes);
Result<std::vector<SegmentEntry>> decode_segment_entries(const PackTrailer& trailer, ByteSpan footer);
Result<std::vector<NodeEntry>> decode_node_entries(const PackTrailer& trailer, ByteSpan footer);

}  // namespace ashlar
