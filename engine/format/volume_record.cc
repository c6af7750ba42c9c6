#include "format/volume_record.h"

#include <fmt/format.h>

#include "codec/hash.h"
#include "format/cursor.h"

namespace ashlar {
namespace {

constexpr std::string_view kMagic = "ASHLVOLU";
constexpr std::size_t kChecksumBytes = 8;
constexpr std::uint64_t kMaxOwner = 999'999'999'999;  // 12 digits, which fit into five bytes

Error damaged(std::string_view what) { return corrupt(fmt::format("volume record: {}", what)); }

}  // namespace

Status check_limits(const VolumeRecord& record) {
  if (record.size.value == 0 || record.size.value > kMaxVolumeBytes)
    return invalid(fmt::format("a volume has 1 byte to 64 PiB, not {} bytes", record.size.value));
  TRY(check_text("the name", record.name, kMaxTextBytes));
  if (record.owner.value > kMaxOwner) return invalid("an account has 12 digits");
  return check_tags(record.tags);
}

ByteVector encode(const VolumeRecord& record) {
  ByteWriter out;
  out.text(kMagic);
  // A record without an owner is written as version 1, which older programs can read.
  out.u16(record.owner.value == 0 ? 1 : kVolumeVersion);
  out.u8(record.is_detached ? 1 : 0);
  out.u32(static_cast<std::uint32_t>(record.owner.value));
  out.u8(static_cast<std::uint8_t>(record.owner.value >> 32U));
  out.u64(record.id.value);
  out.u64(record.base.value);
  out.u64(record.previous_base.value);
  out.u64(record.created.unix_ns);
  out.u64(record.size.value);
  out.bytes(record.store.span());
  out.string(record.name);
  encode_tags(record.tags, out);
  out.u64(checksum64(out.span()));
  return out.take();
}

Result<VolumeRecord> decode_volume_record(ByteSpan bytes) {
  ByteReader in(bytes);
  if (!in.expect(kMagic)) return damaged("bad magic");
  const auto version = in.u16();
  if (version > kVolumeVersion) {
    return unsupported(fmt::format("volume record: format version {} is newer than this program", version));
  }
  if (version == 0) return damaged("impossible version");
  if (bytes.size() < kChecksumBytes || ByteReader(bytes.last(kChecksumBytes)).u64() !=
                                           checksum64(bytes.first(bytes.size() - kChecksumBytes))) {
    return damaged("checksum does not match");
  }
  VolumeRecord record;
  const auto detached = in.u8();
  const auto owner_low = in.u32();
  const auto owner_high = in.u8();
  record.owner.value = std::uint64_t{owner_high} << 32U | owner_low;
  if (detached > 1 || (version == 1) != (record.owner.value == 0))
    return damaged("reserved bytes are not zero, or the owner is");
  record.is_detached = detached == 1;
  record.id.value = in.u64();
  record.base.value = in.u64();
  record.previous_base.value = in.u64();
  record.created.unix_ns = in.u64();
  record.size.value = in.u64();
  in.copy(record.store.span());
  record.name = in.string();
  record.tags = TRY(decode_tags(in).with_context("volume record"));
  in.u64();  // skips the checksum, which was compared above
  if (!in.done()) return damaged("wrong length");
  if (record.id.value == 0 || record.base.value == 0) return damaged("an id is missing");
  if (!check_limits(record).ok()) return damaged("a size, text or tag past its limit");
  return record;
}

}  // namespace ashlar
