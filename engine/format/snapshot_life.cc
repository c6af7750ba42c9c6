#include "format/snapshot_life.h"

#include <fmt/format.h>

#include "format/binary_record.h"

namespace ashlar {
namespace {

constexpr BinaryRecordKind kOpen = {"ASHLOPEN", "open snapshot", kSnapshotLifeVersion, kSnapshotLifeVersion};
constexpr BinaryRecordKind kGone = {"ASHLGONE", "gone snapshot", kSnapshotLifeVersion, kSnapshotLifeVersion};

Error damaged(const BinaryRecordKind& kind, std::string_view what) {
  return corrupt(fmt::format("{}: {}", kind.name, what));
}

Result<OpenSnapshot> decode_open(ByteSpan bytes) {
  ByteReader in = TRY(open_record(kOpen, bytes)).fields;
  OpenSnapshot open;
  if (!in.reserved(6)) return damaged(kOpen, "reserved bytes are not zero");
  open.id.value = in.u64();
  in.copy(open.store.span());
  in.copy(open.session.span());
  in.copy(open.nonce.span());
  if (!in.done()) return damaged(kOpen, "wrong length");
  return open;
}

Result<GoneSnapshot> decode_gone(ByteSpan bytes) {
  ByteReader in = TRY(open_record(kGone, bytes)).fields;
  GoneSnapshot gone;
  const std::uint8_t state = in.u8();
  if (state < 1 || state > 3) return damaged(kGone, "unknown state");
  gone.state = static_cast<GoneState>(state);
  if (!in.reserved(1)) return damaged(kGone, "reserved bytes are not zero");
  gone.incarnation = in.u32();
  gone.id.value = in.u64();
  gone.deleted.unix_ns = in.u64();
  in.copy(gone.nonce.span());
  if (!in.ok()) return damaged(kGone, "wrong length");
  if (gone.state == GoneState::kSwept) {
    if (!in.done()) return damaged(kGone, "wrong length");
    return gone;
  }
  gone.record = TRY(decode_snapshot_record(in.bytes(in.left())).with_context(std::string(kGone.name)));
  if (gone.record->id != gone.id) return damaged(kGone, "holds the record of another snapshot");
  return gone;
}

}  // namespace

ByteVector encode(const OpenSnapshot& open) {
  ByteWriter out = begin_record(kOpen, kSnapshotLifeVersion);
  out.zeros(6);
  out.u64(open.id.value);
  out.bytes(open.store.span());
  out.bytes(open.session.span());
  out.bytes(open.nonce.span());
  return finish_record(std::move(out));
}

ByteVector encode(const GoneSnapshot& gone) {
  ByteWriter out = begin_record(kGone, kSnapshotLifeVersion);
  out.u8(static_cast<std::uint8_t>(gone.state));
  out.zeros(1);
  out.u32(gone.incarnation);
  out.u64(gone.id.value);
  out.u64(gone.deleted.unix_ns);
  out.bytes(gone.nonce.span());
  if (gone.record) out.bytes(encode(*gone.record));
  return finish_record(std::move(out));
}

SnapshotId id_of(const SnapshotObject& object) {
  return std::visit([](const auto& one) { return one.id; }, object);
}

const SnapshotRecord* record_of(const SnapshotObject& object) {
  if (const auto* record = std::get_if<SnapshotRecord>(&object)) return record;
  const auto* gone = std::get_if<GoneSnapshot>(&object);
  return gone != nullptr && gone->state == GoneState::kBinned ? &*gone->record : nullptr;
}

Result<SnapshotObject> decode_snapshot_object(ByteSpan bytes) {
  const std::string_view magic = as_text(bytes.first(std::min<std::size_t>(bytes.size(), 8)));
  if (magic == kOpen.magic) return SnapshotObject(TRY(decode_open(bytes)));
  if (magic == kGone.magic) return SnapshotObject(TRY(decode_gone(bytes)));
  return SnapshotObject(TRY(decode_snapshot_record(bytes)));
}

}  // namespace ashlar
