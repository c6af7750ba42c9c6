#include "format/session_record.h"

#include <fmt/format.h>

#include "codec/hash.h"
#include "format/cursor.h"

namespace ashlar {
namespace {

constexpr std::string_view kMagic = "ASHLSESS";
constexpr std::size_t kChecksumBytes = 8;

Error damaged(std::string_view what) { return corrupt(fmt::format("session record: {}", what)); }

}  // namespace

ByteVector encode(const SessionRecord& record) {
  ByteWriter out;
  out.text(kMagic);
  out.u16(kSessionVersion);
  out.zeros(2);
  out.u32(record.pid);
  out.u64(record.pid_started);
  out.u64(record.started.unix_ns);
  out.bytes(record.id.span());
  out.bytes(record.store.span());
  out.bytes(record.boot);
  out.string(std::string_view(record.host).substr(0, kMaxHostNameBytes));
  out.u64(checksum64(out.span()));
  return out.take();
}

Result<SessionRecord> decode_session_record(ByteSpan bytes) {
  ByteReader in(bytes);
  if (!in.expect(kMagic)) return damaged("bad magic");
  const auto version = in.u16();
  if (version > kSessionVersion) return unsupported("session record: newer format version");
  if (version == 0) return damaged("impossible version");
  if (bytes.size() < kChecksumBytes || ByteReader(bytes.last(kChecksumBytes)).u64() !=
                                           checksum64(bytes.first(bytes.size() - kChecksumBytes))) {
    return damaged("checksum does not match");
  }
  if (!in.reserved(2)) return damaged("reserved bytes are not zero");
  SessionRecord record;
  record.pid = in.u32();
  record.pid_started = in.u64();
  record.started.unix_ns = in.u64();
  in.copy(record.id.span());
  in.copy(record.store.span());
  in.copy(record.boot);
  record.host = in.string();
  in.u64();  // skips the checksum, which was compared above
  if (!in.done() || record.host.size() > kMaxHostNameBytes) return damaged("wrong length");
  return record;
}

}  // namespace ashlar
