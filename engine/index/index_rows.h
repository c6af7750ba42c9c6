// The rows that a pack puts into the index, and how they are encoded for RocksDB. Internal to the module.
//
// A prefix is the first eight bytes of an id, read as a big-endian number. Such numbers sort as the ids do,
// so "the smallest" means the same in memory and on disk. Values are little-endian, through format/cursor.h.
//
//   family    key                  value
//   hooks     block id prefix      segment id prefixes, big-endian, ascending, no duplicates
//   segments  segment id, pack id  payload offset u64, directory offset u64, payload bytes u32,
//                                  directory bytes u32, blocks u32
//   nodes     node id, pack id     offset u64, bytes u32
//   packs     pack id              kind u8, count u32, entries (an id and the value of segments or nodes)
//   inventory pack id              kind u8
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

// Returns the text that names the encoding of the rows, and which hooks are kept.
std::string index_format(std::uint32_t hook_rate);
inline constexpr std::size_t kPrefixBytes = 8;
// The number of segments that one hook keeps, the smallest ones. A block is in two segments when two captures
// stored it at the same time.
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

// The inventory's entry about a pack: one of the two lists, sorted by offset (of the payload).
struct PackRow {
  PackKind kind = PackKind::kData;
  std::vector<SegmentEntry> segments;
  std::vector<NodeEntry> nodes;
};

// A pack of the inventory.
struct InventoryEntry {
  PackId pack;
  PackKind kind = PackKind::kData;
};

// Everything that one pack adds to the index.
struct PackRows {
  PackId pack;
  PackRow row;
  std::vector<Hook> hooks;
};
PackRows rows_of(const PackId& pack, std::span<const PackedSegment> segments, std::uint32_t hook_rate);
PackRows rows_of(const PackId& pack, std::span<const NodeEntry> nodes);

// Keys and values. A decoder returns kCorrupt for a row of the wrong form: RocksDB's checksums held, so the
// row was written in another format.
std::string place_key(ByteSpan id, const PackId& pack);
std::string encode_place(const SegmentEntry& entry);
std::string encode_place(const NodeEntry& entry);
Result<SegmentPlace> decode_segment_place(std::string_view key, std::string_view value);
Result<NodePlace> decode_node_place(std::string_view key, std::string_view value);
std::string encode_pack_row(const PackRow& row);
Result<PackRow> decode_pack_row(std::string_view value);
std::string encode_inventory_row(PackKind kind);
Result<PackKind> decode_inventory_row(std::string_view value);

}  // namespace ashlar
