#include "format/session_record.h"

#include <fmt/format.h>

#include "format/binary_record.h"

namespace ashlar {
namespace {

constexpr BinaryRecordKind kKind = {"ASHLSESS", "session record", kSessionVersion};

Error damaged(std::string_view what) { return corrupt(fmt::format("session record: {}", what)); }

}  // namespace

ByteVector encode(const SessionRecord& record) {
  ByteWriter out = begin_record(kKind, kSessionVersion);
  out.zeros(2);
  out.u32(record.pid);
  out.u64(record.pid_started);
  out.u64(record.started.unix_ns);
  out.bytes(record.id.span());
  out.bytes(record.store.span());
  out.bytes(record.boot);
  out.string(std::string_view(record.host).substr(0, kMaxHostNameBytes));
  return finish_record(std::move(out));
}

Result<SessionRecord> decode_session_record(ByteSpan bytes) {
  ByteReader in = TRY(open_record(kKind, bytes)).fields;
  if (!in.reserved(2)) return damaged("reserved bytes are not zero");
  SessionRecord record;
  record.pid = in.u32();
  record.pid_started = in.u64();
  record.started.unix_ns = in.u64();
  in.copy(record.id.span());
  in.copy(record.store.span());
  in.copy(record.boot);
  record.host = in.string();
  if (!in.done() || record.host.size() > kMaxHostNameBytes) return damaged("wrong length");
  return record;
}

}  // namespace ashlar
