#include "format/snapshot_record.h"

#include <fmt/format.h>

#include "format/binary_record.h"

namespace ashlar {
namespace {

constexpr BinaryRecordKind kKind = {"ASHLSNAP", "snapshot record", kSnapshotVersion, kSnapshotVersion};
constexpr std::uint8_t kHashSha256 = 1;
constexpr std::uint8_t kEncryptionNone = 0;

Error damaged(std::string_view what) { return corrupt(fmt::format("snapshot record: {}", what)); }

void encode_counters(const SnapshotRecord& record, ByteWriter& out) {
  out.u64(record.data_blocks.value);
  out.u64(record.zero_blocks.value);
  out.u64(record.unallocated_blocks.value);
  out.u64(record.unreadable_blocks.value);
  out.u64(record.new_blocks.value);
  out.u64(record.new_stored_bytes.value);
}

void decode_counters(ByteReader& in, SnapshotRecord& record) {
  record.data_blocks.value = in.u64();
  record.zero_blocks.value = in.u64();
  record.unallocated_blocks.value = in.u64();
  record.unreadable_blocks.value = in.u64();
  record.new_blocks.value = in.u64();
  record.new_stored_bytes.value = in.u64();
}

Status check_sense(const SnapshotRecord& record) {
  if (record.size.value > kMaxVolumeBytes) return damaged("impossible size");
  const BlockCount blocks = blocks_covering(record.size);
  if (record.root_level != root_level(blocks)) return damaged("root level does not fit the size");
  if (record.content != volume_digest(record.size, record.root_level, record.root.digest)) {
    return damaged("content digest does not match the root");
  }
  if (!record.root.is_node() && !record.root.id.is_zero()) return damaged("a constant root names a node");
  BlockCount rest = blocks;
  for (const BlockCount count :
       {record.data_blocks, record.zero_blocks, record.unallocated_blocks, record.unreadable_blocks}) {
    if (count > rest) return damaged("block counts exceed the size");
    rest = rest - count;
  }
  if (rest.value != 0) return damaged("block counts do not add up to the size");
  return {};
}

}  // namespace

Status check_limits(const SnapshotRecord& record) {
  TRY(check_text("the name", record.name, kMaxTextBytes));
  TRY(check_text("the description", record.description, kMaxTextBytes));
  TRY(check_text("the change token", record.change_token, kMaxTextBytes));
  TRY(check_text("the program's name", record.program, kMaxTextBytes));
  TRY(check_text("the label", record.label, kMaxTextBytes));
  return check_tags(record.tags);
}

ByteVector encode(const SnapshotRecord& record) {
  ByteWriter out = begin_record(kKind, kSnapshotVersion);
  out.u8(kHashSha256);
  out.u8(kEncryptionNone);
  out.u8(static_cast<std::uint8_t>(record.source_kind));
  out.u8(static_cast<std::uint8_t>(record.consistency));
  out.u8(record.root_level);
  out.u8(static_cast<std::uint8_t>(record.root.kind));
  out.u64(record.id.value);
  out.u64(record.parent.value);
  out.u64(record.created.unix_ns);
  out.u64(record.size.value);
  out.bytes(record.store.span());
  out.bytes(record.root.id.span());
  out.bytes(record.root.digest.span());
  out.bytes(record.content.span());
  out.bytes(record.source_identity.span());
  out.u32(record.generation);
  out.u32(record.incarnation);
  encode_counters(record, out);
  out.u64(record.revision);
  out.u32(record.sector_bytes);
  out.zeros(4);
  for (const auto* text :
       {&record.name, &record.description, &record.change_token, &record.program, &record.label}) {
    out.string(*text);
  }
  encode_tags(record.tags, out);
  return finish_record(std::move(out));
}

Result<SnapshotRecord> decode_snapshot_record(ByteSpan bytes) {
  ByteReader in = TRY(open_record(kKind, bytes)).fields;
  if (in.u8() != kHashSha256) return unsupported("snapshot record: unknown hash");
  if (in.u8() != kEncryptionNone)
    return unsupported("snapshot record: encrypted, and this program can't decrypt");
  SnapshotRecord record;
  const auto source_kind = in.u8();
  const auto consistency = in.u8();
  record.root_level = in.u8();
  const auto root_kind = in.u8();
  if (source_kind < 1 || source_kind > 4 || consistency > 3 || root_kind < 1 || root_kind > 3) {
    return damaged("unknown kind of source, consistency or root");
  }
  record.source_kind = static_cast<SourceKind>(source_kind);
  record.consistency = static_cast<Consistency>(consistency);
  record.root.kind = static_cast<ChildKind>(root_kind);
  record.id.value = in.u64();
  record.parent.value = in.u64();
  record.created.unix_ns = in.u64();
  record.size.value = in.u64();
  in.copy(record.store.span());
  in.copy(record.root.id.span());
  in.copy(record.root.digest.span());
  in.copy(record.content.span());
  in.copy(record.source_identity.span());
  record.generation = in.u32();
  record.incarnation = in.u32();
  decode_counters(in, record);
  record.revision = in.u64();
  record.sector_bytes = in.u32();
  if (!in.reserved(4)) return damaged("reserved bytes are not zero");
  record.name = in.string();
  record.description = in.string();
  record.change_token = in.string();
  record.program = in.string();
  record.label = in.string();
  record.tags = TRY(decode_tags(in).with_context("snapshot record"));
  if (!in.done()) return damaged("wrong length");
  TRY(check_sense(record));
  if (!check_limits(record).ok()) return damaged("a text or tag past its limit");
  return record;
}

}  // namespace ashlar
