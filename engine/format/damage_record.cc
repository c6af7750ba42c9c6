#include "format/damage_record.h"

#include <fmt/format.h>

#include "format/binary_record.h"

namespace ashlar {
namespace {

constexpr BinaryRecordKind kKind = {"ASHLDAMG", "damage record", kDamageVersion, kDamageVersion};
constexpr std::uint8_t kWhole = 1;
constexpr std::uint8_t kGivenUp = 2;
constexpr std::size_t kBitsOfByte = 8;
constexpr std::size_t kMaxSetBytes = kSegmentBlocks / kBitsOfByte;

Error damaged(std::string_view what) { return corrupt(fmt::format("damage record: {}", what)); }

std::uint8_t byte_of(const FrameSet& frames, std::size_t at) {
  std::uint8_t byte = 0;
  for (std::size_t bit = 0; bit < kBitsOfByte; ++bit) {
    if (frames[at * kBitsOfByte + bit]) byte = static_cast<std::uint8_t>(byte | 1U << bit);
  }
  return byte;
}

FrameSet frames_of(ByteSpan bytes) {
  FrameSet frames;
  for (std::size_t i = 0; i < bytes.size() * kBitsOfByte; ++i)
    frames[i] = (std::to_integer<unsigned>(bytes[i / kBitsOfByte]) >> i % kBitsOfByte & 1U) != 0;
  return frames;
}

// Returns the length of a set without the zero bytes at its end.
std::size_t used_bytes(const FrameSet& frames) {
  std::size_t bytes = kMaxSetBytes;
  while (bytes > 0 && byte_of(frames, bytes - 1) == 0) --bytes;
  return bytes;
}

void encode_segment_damage(const SegmentDamage& damage, ByteWriter& out) {
  CHECK((damage.lost & ~damage.damaged).none());
  const std::size_t bytes = used_bytes(damage.damaged);
  CHECK(bytes > 0);
  out.u8(static_cast<std::uint8_t>(bytes));
  for (const FrameSet* frames : {&damage.damaged, &damage.lost}) {
    for (std::size_t i = 0; i < bytes; ++i) out.u8(byte_of(*frames, i));
  }
}

Result<SegmentDamage> decode_segment_damage(ByteReader& in) {
  const std::size_t bytes = in.u8();
  if (bytes == 0 || bytes > kMaxSetBytes) return damaged("a set of frames of impossible length");
  const ByteSpan found = in.bytes(bytes);
  const ByteSpan lost = in.bytes(bytes);
  if (!in.ok()) return damaged("wrong length");
  if (found.back() == std::byte{0}) return damaged("a set of frames is longer than needed");
  SegmentDamage damage{frames_of(found), frames_of(lost)};
  if ((damage.lost & ~damage.damaged).any()) return damaged("a lost frame is not damaged");
  return damage;
}

}  // namespace

bool has_more(const DamageRecord& now, const DamageRecord& before) {
  if ((now.is_whole && !before.is_whole) || (now.is_given_up && !before.is_given_up)) return true;
  for (const auto& [id, damage] : now.segments) {
    const auto known = before.segments.find(id);
    if (known == before.segments.end() || (damage.damaged & ~known->second.damaged).any() ||
        (damage.lost & ~known->second.lost).any())
      return true;
  }
  for (const auto& [id, damage] : now.nodes) {
    const auto known = before.nodes.find(id);
    if (known == before.nodes.end() || known->second < damage) return true;
  }
  return false;
}

void add_findings(DamageRecord& record, const DamageRecord& other) {
  record.is_whole = record.is_whole || other.is_whole;
  record.is_given_up = record.is_given_up || other.is_given_up;
  for (const auto& [id, damage] : other.segments) {
    SegmentDamage& own = record.segments[id];
    own.damaged |= damage.damaged;
    own.lost |= damage.lost;
  }
  for (const auto& [id, damage] : other.nodes) {
    NodeDamage& own = record.nodes.try_emplace(id, damage).first->second;
    own = std::max(own, damage);
  }
}

ByteVector encode(const DamageRecord& record) {
  CHECK(record.is_whole || !record.is_given_up);
  const bool is_data = record.kind == PackKind::kData;
  CHECK(is_data ? record.nodes.empty() : record.segments.empty());
  ByteWriter out = begin_record(kKind, kDamageVersion);
  out.u8(static_cast<std::uint8_t>(record.kind));
  out.u8(static_cast<std::uint8_t>((record.is_whole ? kWhole : 0) | (record.is_given_up ? kGivenUp : 0)));
  out.u32(static_cast<std::uint32_t>(is_data ? record.segments.size() : record.nodes.size()));
  out.u64(record.revision);
  out.bytes(record.store.span());
  out.bytes(record.pack.span());
  out.bytes(record.nonce.span());
  for (const auto& [id, damage] : record.segments) {
    out.bytes(id.span());
    encode_segment_damage(damage, out);
  }
  for (const auto& [id, damage] : record.nodes) {
    out.bytes(id.span());
    out.u8(static_cast<std::uint8_t>(damage));
  }
  return finish_record(std::move(out));
}

namespace {

// Reads an id of a list in ascending order, none twice.
template <class Id, class Entries>
Status read_next_id(ByteReader& in, const Entries& before, Id& id) {
  in.copy(id.span());
  if (!in.ok()) return damaged("wrong length");
  if (!before.empty() && id <= before.rbegin()->first) return damaged("its entries are not in order");
  return {};
}

Status decode_entries(ByteReader& in, std::uint32_t count, DamageRecord& record) {
  for (std::uint32_t i = 0; i < count; ++i) {
    if (record.kind == PackKind::kData) {
      SegmentId id;
      TRY(read_next_id(in, record.segments, id));
      record.segments.emplace_hint(record.segments.end(), id, TRY(decode_segment_damage(in)));
    } else {
      NodeId id;
      TRY(read_next_id(in, record.nodes, id));
      const std::uint8_t state = in.u8();
      if (state != 1 && state != 2) return damaged("unknown state of a node");
      record.nodes.emplace_hint(record.nodes.end(), id, static_cast<NodeDamage>(state));
    }
  }
  return {};
}

}  // namespace

Result<DamageRecord> decode_damage_record(ByteSpan bytes) {
  ByteReader in = TRY(open_record(kKind, bytes)).fields;
  DamageRecord record;
  const std::uint8_t kind = in.u8();
  if (kind != 1 && kind != 2) return damaged("unknown kind of pack");
  record.kind = static_cast<PackKind>(kind);
  const std::uint8_t flags = in.u8();
  if ((flags & ~(kWhole | kGivenUp)) != 0 || flags == kGivenUp) return damaged("unknown flags");
  record.is_whole = (flags & kWhole) != 0;
  record.is_given_up = (flags & kGivenUp) != 0;
  const std::uint32_t count = in.u32();
  record.revision = in.u64();
  in.copy(record.store.span());
  in.copy(record.pack.span());
  in.copy(record.nonce.span());
  if (record.revision == 0) return damaged("the revision is missing");
  TRY(decode_entries(in, count, record));
  if (!in.done()) return damaged("wrong length");
  return record;
}

}  // namespace ashlar
