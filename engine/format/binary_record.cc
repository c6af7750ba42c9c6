#include "format/binary_record.h"

#include <fmt/format.h>

#include "codec/hash.h"

namespace ashlar {
namespace {

constexpr std::size_t kMagicBytes = 8;
constexpr std::size_t kVersionBytes = 2;
constexpr std::size_t kChecksumBytes = 8;

}  // namespace

ByteWriter begin_record(const BinaryRecordKind& kind, std::uint16_t version) {
  CHECK(kind.magic.size() == kMagicBytes);
  ByteWriter out;
  out.text(kind.magic);
  out.u16(version);
  return out;
}

ByteVector finish_record(ByteWriter&& out) {
  out.u64(checksum64(out.span()));
  return out.take();
}

Result<OpenedRecord> open_record(const BinaryRecordKind& kind, ByteSpan bytes) {
  const auto damaged = [&](std::string_view what) { return corrupt(fmt::format("{}: {}", kind.name, what)); };
  ByteReader head(bytes);
  if (!head.expect(kind.magic)) return damaged("bad magic");
  if (bytes.size() < kMagicBytes + kVersionBytes + kChecksumBytes) return damaged("wrong length");
  const ByteSpan body = bytes.first(bytes.size() - kChecksumBytes);
  if (ByteReader(bytes.last(kChecksumBytes)).u64() != checksum64(body))
    return damaged("checksum does not match");
  const std::uint16_t version = head.u16();
  if (version > kind.newest)
    return unsupported(fmt::format("{}: format version {} is newer than this program", kind.name, version));
  if (version == 0) return damaged("impossible version");
  if (version < kind.oldest)
    return unsupported(fmt::format("{}: format version {} is no longer read", kind.name, version));
  return OpenedRecord{version, ByteReader(body.subspan(kMagicBytes + kVersionBytes))};
}

}  // namespace ashlar
