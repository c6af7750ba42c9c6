#include "index/index_rows.h"

#include <algorithm>

#include "format/cursor.h"

namespace ashlar {
namespace {

constexpr std::size_t kPackedSegmentBytes = SegmentId::kBytes + 2 * 8 + 3 * 4;
constexpr std::size_t kPackedNodeBytes = NodeId::kBytes + 8 + 4;

void put_place(ByteWriter& out, const SegmentEntry& entry) {
  out.u64(entry.payload_offset);
  out.u64(entry.directory_offset);
  out.u32(entry.payload_bytes);
  out.u32(entry.directory_bytes);
  out.u32(entry.block_count);
}

void put_place(ByteWriter& out, const NodeEntry& entry) {
  out.u64(entry.offset);
  out.u32(entry.bytes);
}

void get_place(ByteReader& in, SegmentEntry& entry) {
  entry.payload_offset = in.u64();
  entry.directory_offset = in.u64();
  entry.payload_bytes = in.u32();
  entry.directory_bytes = in.u32();
  entry.block_count = in.u32();
}

void get_place(ByteReader& in, NodeEntry& entry) {
  entry.offset = in.u64();
  entry.bytes = in.u32();
}

template <class Entry>
std::string place_value(const Entry& entry) {
  ByteWriter out;
  put_place(out, entry);
  return std::string(as_text(out.span()));
}

template <class Place>
Result<Place> decode_place(std::string_view key, std::string_view value) {
  Place place;
  ByteReader key_in(as_byte_span(key));
  key_in.copy(place.entry.id.span());
  key_in.copy(place.pack.span());
  ByteReader value_in(as_byte_span(value));
  get_place(value_in, place.entry);
  if (!key_in.done() || !value_in.done()) return corrupt("index: a place of the wrong length");
  return place;
}

Result<PackKind> pack_kind(std::uint8_t kind) {
  if (kind != 1 && kind != 2) return corrupt("index: a pack of an unknown kind");
  return static_cast<PackKind>(kind);
}

template <class Entry>
void get_entries(ByteReader& in, std::uint32_t count, std::vector<Entry>& entries) {
  entries.resize(count);
  for (Entry& entry : entries) {
    in.copy(entry.id.span());
    get_place(in, entry);
  }
}

}  // namespace

std::string index_format(std::uint32_t hook_rate) {
  return "ashlar index 3, hooks 1 of " + std::to_string(hook_rate);
}

std::uint64_t big_endian_u64(const std::byte* bytes) {
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < kPrefixBytes; ++i)
    value = value << 8U | std::to_integer<std::uint64_t>(bytes[i]);
  return value;
}

std::string big_endian_text(std::uint64_t value) {
  std::string text(kPrefixBytes, '\0');
  for (std::size_t i = 0; i < kPrefixBytes; ++i)
    text[i] = static_cast<char>(value >> (8 * (kPrefixBytes - 1 - i)));
  return text;
}

PackRows rows_of(const PackId& pack, std::span<const PackedSegment> segments, std::uint32_t hook_rate) {
  PackRows rows{pack, {PackKind::kData, {}, {}}, {}};
  for (const PackedSegment& segment : segments) {
    rows.row.segments.push_back(segment.entry);
    const std::uint64_t target = ordered_prefix(segment.entry.id);
    for (std::size_t i = 0; i < segment.blocks.size(); ++i) {
      if (i == 0 || is_hook(segment.blocks[i], hook_rate))
        rows.hooks.push_back({ordered_prefix(segment.blocks[i]), target});
    }
  }
  std::ranges::stable_sort(rows.row.segments, {}, &SegmentEntry::payload_offset);
  return rows;
}

PackRows rows_of(const PackId& pack, std::span<const NodeEntry> nodes) {
  PackRows rows{pack, {PackKind::kMeta, {}, {nodes.begin(), nodes.end()}}, {}};
  std::ranges::stable_sort(rows.row.nodes, {}, &NodeEntry::offset);
  return rows;
}

std::string place_key(ByteSpan id, const PackId& pack) {
  return std::string(as_text(id)).append(as_text(pack.span()));
}

std::string encode_place(const SegmentEntry& entry) { return place_value(entry); }
std::string encode_place(const NodeEntry& entry) { return place_value(entry); }

Result<SegmentPlace> decode_segment_place(std::string_view key, std::string_view value) {
  return decode_place<SegmentPlace>(key, value);
}
Result<NodePlace> decode_node_place(std::string_view key, std::string_view value) {
  return decode_place<NodePlace>(key, value);
}

std::string encode_pack_row(const PackRow& row) {
  ByteWriter out;
  out.u8(static_cast<std::uint8_t>(row.kind));
  out.u32(static_cast<std::uint32_t>(row.kind == PackKind::kData ? row.segments.size() : row.nodes.size()));
  for (const SegmentEntry& entry : row.segments) {
    out.bytes(entry.id.span());
    put_place(out, entry);
  }
  for (const NodeEntry& entry : row.nodes) {
    out.bytes(entry.id.span());
    put_place(out, entry);
  }
  return std::string(as_text(out.span()));
}

Result<PackRow> decode_pack_row(std::string_view value) {
  ByteReader in(as_byte_span(value));
  PackRow row;
  row.kind = TRY(pack_kind(in.u8()));
  const std::uint32_t count = in.u32();
  const std::size_t entry_bytes = row.kind == PackKind::kData ? kPackedSegmentBytes : kPackedNodeBytes;
  if (!in.ok() || in.left() != count * entry_bytes) return corrupt("index: a pack row of the wrong length");
  if (row.kind == PackKind::kData) {
    get_entries(in, count, row.segments);
  } else {
    get_entries(in, count, row.nodes);
  }
  return row;
}

std::string encode_inventory_row(PackKind kind) { return {static_cast<char>(kind)}; }

Result<PackKind> decode_inventory_row(std::string_view value) {
  if (value.size() != 1) return corrupt("index: an inventory row of the wrong length");
  return pack_kind(static_cast<std::uint8_t>(value.front()));
}

}  // namespace ashlar
