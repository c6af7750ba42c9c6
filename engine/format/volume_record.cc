#include "format/volume_record.h"

#include <fmt/format.h>

#include "format/binary_record.h"

namespace ashlar {
namespace {

constexpr BinaryRecordKind kKind = {"ASHLVOLU", "volume record", kVolumeVersion, kVolumeVersion};
constexpr std::uint64_t kMaxOwner = 999'999'999'999;  // 12 digits, which fit into five bytes

Error damaged(std::string_view what) { return corrupt(fmt::format("volume record: {}", what)); }

}  // namespace

Status check_limits(const VolumeRecord& record) {
  if (record.size.value == 0 || record.size.value > kMaxVolumeBytes)
    return invalid(fmt::format("a volume has 1 byte to 64 PiB, not {} bytes", record.size.value));
  TRY(check_text("the name", record.name, kMaxTextBytes));
  TRY(check_text("the name of the host", record.host_name, kMaxVolumeHostNameBytes));
  if (record.owner.value > kMaxOwner) return invalid("an account has 12 digits");
  return check_tags(record.tags);
}

ByteVector encode(const VolumeRecord& record) {
  ByteWriter out = begin_record(kKind, kVolumeVersion);
  out.u8(record.is_detached ? 1 : 0);
  out.u32(static_cast<std::uint32_t>(record.owner.value));
  out.u8(static_cast<std::uint8_t>(record.owner.value >> 32U));
  out.u64(record.id.value);
  out.u64(record.base.value);
  out.u64(record.previous_base.value);
  out.u64(record.created.unix_ns);
  out.u64(record.size.value);
  out.bytes(record.store.span());
  out.bytes(record.host.span());
  out.u64(record.revision);
  out.string(record.host_name);
  out.string(record.name);
  encode_tags(record.tags, out);
  return finish_record(std::move(out));
}

Result<VolumeRecord> decode_volume_record(ByteSpan bytes) {
  ByteReader in = TRY(open_record(kKind, bytes)).fields;
  VolumeRecord record;
  const auto detached = in.u8();
  const auto owner_low = in.u32();
  const auto owner_high = in.u8();
  record.owner.value = std::uint64_t{owner_high} << 32U | owner_low;
  if (detached > 1) return damaged("unknown state");
  record.is_detached = detached == 1;
  record.id.value = in.u64();
  record.base.value = in.u64();
  record.previous_base.value = in.u64();
  record.created.unix_ns = in.u64();
  record.size.value = in.u64();
  in.copy(record.store.span());
  in.copy(record.host.span());
  record.revision = in.u64();
  record.host_name = in.string();
  record.name = in.string();
  record.tags = TRY(decode_tags(in).with_context("volume record"));
  if (!in.done()) return damaged("wrong length");
  if (record.id.value == 0 || record.revision == 0) return damaged("the id or the revision is missing");
  if (!check_limits(record).ok()) return damaged("a size, text or tag past its limit");
  return record;
}

}  // namespace ashlar
