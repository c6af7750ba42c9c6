#include "format/trace_record.h"

#include <fmt/format.h>

#include <tuple>
#include <unordered_set>

#include "format/binary_record.h"

namespace ashlar {
namespace {

constexpr BinaryRecordKind kKind = {"ASHLTRAC", "trace", kTraceVersion};
constexpr std::uint64_t kMaxOwner = 999'999'999'999;

Error damaged(std::string_view what) { return corrupt(fmt::format("trace: {}", what)); }

Status decode_regions(ByteReader& in, std::uint32_t count, TraceRecord& record) {
  std::unordered_set<std::uint64_t> seen;
  for (std::uint32_t i = 0; i < count && in.ok(); ++i) {
    const TracedRegion region{in.u64(), in.u32(), in.u32()};
    const bool ordered =
        record.regions.empty() || std::tie(record.regions.back().position, record.regions.back().region) <
                                      std::tie(region.position, region.region);
    if (!ordered || !seen.insert(region.region).second) return damaged("regions out of order");
    if (region.region >= kMaxVolumeBytes / kBlockBytes / kTraceRegionBlocks)
      return damaged("a region past the end of any volume");
    if (region.last_seen == 0 || region.last_seen > record.servings) return damaged("an impossible serving");
    record.regions.push_back(region);
  }
  return {};
}

Status decode_content(ByteReader& in, std::uint32_t segments, std::uint32_t spans, TraceRecord& record) {
  std::unordered_set<SegmentId, IdHash> seen;
  for (std::uint32_t i = 0; i < segments && in.ok(); ++i) {
    SegmentId id;
    in.copy(id.span());
    if (!seen.insert(id).second) return damaged("a segment twice");
    record.segments.push_back(id);
  }
  std::uint32_t used = 0;
  for (std::uint32_t i = 0; i < spans && in.ok(); ++i) {
    const TracedSpan span{in.u32(), in.u16(), in.u16()};
    if (span.segment > used || span.segment >= segments) return damaged("segments out of order");
    if (span.segment == used) ++used;
    if (span.block_count == 0 || span.first_block + span.block_count > kSegmentBlocks)
      return damaged("a span past its segment");
    record.content.push_back(span);
  }
  if (in.ok() && used != segments) return damaged("a segment without a span");
  return {};
}

}  // namespace

ByteVector encode(const TraceRecord& record) {
  ByteWriter out = begin_record(kKind, kTraceVersion);
  out.zeros(6);
  out.u64(record.snapshot.value);
  out.bytes(record.store.span());
  out.u64(record.owner);
  out.u32(record.servings);
  out.u32(static_cast<std::uint32_t>(record.regions.size()));
  out.u32(static_cast<std::uint32_t>(record.segments.size()));
  out.u32(static_cast<std::uint32_t>(record.content.size()));
  out.bytes(record.boot_pack.span());
  out.u64(record.pack_bytes);
  for (const TracedRegion& region : record.regions) {
    out.u64(region.region);
    out.u32(region.position);
    out.u32(region.last_seen);
  }
  for (const SegmentId& segment : record.segments) out.bytes(segment.span());
  for (const TracedSpan& span : record.content) {
    out.u32(span.segment);
    out.u16(span.first_block);
    out.u16(span.block_count);
  }
  return finish_record(std::move(out));
}

Result<TraceRecord> decode_trace_record(ByteSpan bytes) {
  ByteReader in = TRY(open_record(kKind, bytes)).fields;
  TraceRecord record;
  if (!in.reserved(6)) return damaged("reserved bytes are not zero");
  record.snapshot.value = in.u64();
  in.copy(record.store.span());
  record.owner = in.u64();
  record.servings = in.u32();
  const auto regions = in.u32();
  const auto segments = in.u32();
  const auto spans = in.u32();
  in.copy(record.boot_pack.span());
  record.pack_bytes = in.u64();
  if (record.snapshot.value == 0 || record.owner > kMaxOwner) return damaged("an impossible id");
  if (record.boot_pack.is_zero() != (record.pack_bytes == 0)) return damaged("an impossible boot pack");
  if (regions > kMaxTraceRegions || spans > kMaxTraceSpans || segments > kMaxTraceSegments)
    return damaged("a count past its limit");
  TRY(decode_regions(in, regions, record));
  TRY(decode_content(in, segments, spans, record));
  if (!in.done()) return damaged("wrong length");
  return record;
}

}  // namespace ashlar
