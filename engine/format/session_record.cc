#include "format/session_record.h"

#include <fmt/format.h>

#include "format/binary_record.h"

namespace ashlar {
namespace {

constexpr BinaryRecordKind kKind = {"ASHLSESS", "session record", kSessionVersion, kSessionVersion};

// The size of a record without its texts and lists.
constexpr std::size_t kFixedBytes =
    8 + 2 + 2 + 4 + 8 + 8 + SessionId::kBytes + StoreId::kBytes + 16 + Nonce::kBytes + 8 + 8 + 2 + 3 * 4 + 8;

Error damaged(std::string_view what) { return corrupt(fmt::format("session record: {}", what)); }

void encode_ids(const std::vector<SnapshotId>& ids, ByteWriter& out) {
  out.u32(static_cast<std::uint32_t>(ids.size()));
  for (const SnapshotId id : ids) out.u64(id.value);
}

// Reads a list whose length is checked against the bytes that are left before anything is allocated.
bool decode_ids(ByteReader& in, std::vector<SnapshotId>& ids) {
  const std::uint32_t count = in.u32();
  if (count > in.left() / sizeof(std::uint64_t)) return false;
  ids.resize(count);
  for (SnapshotId& id : ids) id.value = in.u64();
  return in.ok();
}

bool decode_packs(ByteReader& in, std::vector<PackId>& packs) {
  const std::uint32_t count = in.u32();
  if (count > in.left() / PackId::kBytes) return false;
  packs.resize(count);
  for (PackId& pack : packs) in.copy(pack.span());
  return in.ok();
}

}  // namespace

Status check_limits(const SessionRecord& record) {
  if (record.host.size() > kMaxHostNameBytes) return invalid("the name of the host is too long");
  const std::size_t bytes = kFixedBytes + record.host.size() +
                            (record.open_snapshots.size() + record.bases.size()) * sizeof(std::uint64_t) +
                            record.keeps.size() * PackId::kBytes;
  if (bytes > kMaxSessionRecordBytes)
    return invalid("one session can't name so many snapshots and packs: make fewer snapshots at once");
  return {};
}

ByteVector encode(const SessionRecord& record) {
  ByteWriter out = begin_record(kKind, kSessionVersion);
  out.u8(static_cast<std::uint8_t>(record.state));
  out.zeros(1);
  out.u32(record.pid);
  out.u64(record.pid_started);
  out.u64(record.started.unix_ns);
  out.bytes(record.id.span());
  out.bytes(record.store.span());
  out.bytes(record.boot);
  out.bytes(record.nonce.span());
  out.u64(record.beat);
  out.u64(record.epoch);
  out.string(record.host);
  encode_ids(record.open_snapshots, out);
  encode_ids(record.bases, out);
  out.u32(static_cast<std::uint32_t>(record.keeps.size()));
  for (const PackId& pack : record.keeps) out.bytes(pack.span());
  return finish_record(std::move(out));
}

Result<SessionRecord> decode_session_record(ByteSpan bytes) {
  ByteReader in = TRY(open_record(kKind, bytes)).fields;
  SessionRecord record;
  const std::uint8_t state = in.u8();
  if (state < static_cast<std::uint8_t>(SessionState::kOpen) ||
      state > static_cast<std::uint8_t>(SessionState::kPassedOver))
    return damaged("unknown state");
  record.state = static_cast<SessionState>(state);
  if (!in.reserved(1)) return damaged("reserved bytes are not zero");
  record.pid = in.u32();
  record.pid_started = in.u64();
  record.started.unix_ns = in.u64();
  in.copy(record.id.span());
  in.copy(record.store.span());
  in.copy(record.boot);
  in.copy(record.nonce.span());
  record.beat = in.u64();
  record.epoch = in.u64();
  record.host = in.string();
  if (record.host.size() > kMaxHostNameBytes) return damaged("the name of the host is too long");
  if (!decode_ids(in, record.open_snapshots) || !decode_ids(in, record.bases) ||
      !decode_packs(in, record.keeps) || !in.done())
    return damaged("wrong length");
  return record;
}

}  // namespace ashlar
