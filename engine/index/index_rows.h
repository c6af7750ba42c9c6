// The rows that a pack puts into the index, and how they are encoded for RocksDB.
//
// Prefixes are the first eight bytes of an id as a big-endian number, so numbers sort as ids do and "the
// smallest" means the same in memory and on disk. Values are little-endian, through format/cursor.h.
//   hooks     block id prefix              -> segment id prefixes, big-endian, ascending, no duplicates
//   segments  segment id, pack id          -> offset u64, directory bytes u32, payload bytes u32, blocks u32
//   nodes     node id, pack id             -> offset u64, bytes u32
//   packs     pack id                      -> kind u8, count u32, entries (id, then the value of segments or
//   nodes)
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/id.h"
#include "base/result.h"
#include "format/pack_format.h"
#include "index/index.h"

namespace ashlar {

inline constexpr std::string_view kIndexFormat = "ashlar index 1";
inline constexpr std::size_t kPrefixBytes = 8;
// The segments one hook remembers: the smallest ones. Two come about when two captures store a block at a
// time.
inline constexpr std::size_t kMaxHookSegments = 256;

std::uint64_t big_endian_u64(const std::byte* bytes);
std::string big_endian_text(std::uint64_t value);

template <class Id>
std::uint64_t ordered_prefix(const Id& id) {
  return big_endian_u64(id.bytes.data());
}

struct Hook {
  std::uint64_t block = 0;    // ordered_prefix of a block id
  std::uint64_t segment = 0;  // ordered_prefix of a segment id
  friend auto operator<=>(const Hook&, const Hook&) = default;
};

// What the inventory keeps of a pack: one of the two lists, sorted by offset.
struct PackRow {
  PackKind kind = PackKind::kData;
  std::vector<SegmentEntry> segments;
  std::vector<NodeEntry> nodes;
};

// Everything that one pack puts into the index.
struct PackRows {
  PackId pack;
  PackRow row;
  std::vector<Hook> hooks;
};
PackRows rows_of(const PackId& pack, std::span<const PackedSegment> segments);
PackRows rows_of(const PackId& pack, std::span<const NodeEntry> nodes);

// Keys and values. Decoders return kCorrupt: RocksDB's checksums held, so the row is of another format.
std::string place_key(ByteSpan id, const PackId& pack);
std::string encode_place(const SegmentEntry& entry);
std::string encode_place(const NodeEntry& entry);
Result<SegmentPlace> decode_segment_place(std::string_view key, std::string_view value);
Result<NodePlace> decode_node_place(std::string_view key, std::string_view value);
std::string encode_pack_row(const PackRow& row);
Result<PackRow> decode_pack_row(std::string_view value);

}  // namespace ashlar
