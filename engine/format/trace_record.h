// The bytes of a trace: which regions volumes of one snapshot read first. Page: docs/format/trace.md.
//
// The record lives as `traces/<snapshot id>` for the store's own account and for any other account as
// `traces/<snapshot id>.<account>`, and is replaced as a whole. It is advice: losing it, or believing a wrong
// one, costs time only.
#pragma once

#include <cstdint>
#include <vector>

#include "base/id.h"
#include "base/quantity.h"
#include "base/result.h"

namespace ashlar {

inline constexpr std::uint16_t kTraceVersion = 1;
inline constexpr std::uint64_t kTraceRegionBlocks = 16;  // the grain of a trace: 64 KiB
inline constexpr std::size_t kMaxTraceRegions = 16384;   // 1 GiB
inline constexpr std::size_t kMaxTraceSpans = 16 * kMaxTraceRegions;
inline constexpr std::size_t kMaxTraceSegments = 16384;
inline constexpr std::size_t kMaxTraceBytes = std::size_t{4} << 20U;

using BootPackId = BinaryId<struct BootPackIdTag, 16>;  // random

// A region that volumes read.
struct TracedRegion {
  std::uint64_t region = 0;     // its first block divided by kTraceRegionBlocks
  std::uint32_t position = 0;   // place in the order of one serving, averaged over those that read it
  std::uint32_t last_seen = 0;  // number of the serving that read it last; the first serving is 1
  friend bool operator==(const TracedRegion&, const TracedRegion&) = default;
};

// A run of blocks of a segment that the regions hold. It names content, so it is valid wherever that content
// lies in any snapshot.
struct TracedSpan {
  std::uint32_t segment = 0;  // index into TraceRecord::segments
  std::uint16_t first_block = 0;
  std::uint16_t block_count = 0;
  friend bool operator==(const TracedSpan&, const TracedSpan&) = default;
};

struct TraceRecord {
  SnapshotId snapshot;
  StoreId store;
  std::uint64_t owner = 0;            // the account whose volumes were read: 12 digits; 0: the store's own
  std::uint32_t servings = 0;         // number of servings merged into this record
  BootPackId boot_pack;               // zero: no boot pack
  std::uint64_t pack_bytes = 0;       // size of the boot pack
  std::vector<TracedRegion> regions;  // ascending by position, then by region; each region once
  std::vector<SegmentId> segments;    // in the order of their first use by a span, each once
  std::vector<TracedSpan> content;    // in the order of the regions

  friend bool operator==(const TraceRecord&, const TraceRecord&) = default;
};

ByteVector encode(const TraceRecord& record);
Result<TraceRecord> decode_trace_record(ByteSpan bytes);

}  // namespace ashlar
