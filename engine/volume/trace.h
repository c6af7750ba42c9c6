// Traces: how the first reads of another serving are merged into the trace of a snapshot, and which regions
// to expect of a snapshot that shares content with a traced one. Internal to the module.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "format/trace_record.h"
#include "manifest/tree.h"

namespace ashlar {

inline constexpr std::uint64_t kTraceRegionsOfLeaf = kLeafBlocks / kTraceRegionBlocks;

// Regions of a volume, in the order in which they will be wanted.
using RegionOrder = std::vector<std::uint64_t>;

// Returns `before` with another serving added, which read `reads` in that order. Positions are averages; a
// region that none of the last four servings read is dropped. Content and boot pack stay those of `before`.
TraceRecord merged(const TraceRecord& before, std::span<const std::uint64_t> reads);

RegionOrder order_of(const TraceRecord& trace);

// Records in the trace which spans of segments its regions hold in the tree of its snapshot.
Status note_content(NodeReader& nodes, const TreeRoot& root, TraceRecord& trace);

// Returns the regions of another tree that hold blocks of the trace's content, in its order. Walks the leaves
// of the tree and loads kMostLeavesExpected of them at most.
inline constexpr std::uint64_t kMostLeavesExpected = 65536;  // 256 GiB
Result<RegionOrder> expected_by_content(NodeReader& nodes, const TreeRoot& root, const TraceRecord& trace);

// Returns the share of `now`'s regions that `before` does not have, 0 to 1.
double news(const TraceRecord& before, const TraceRecord& now);

}  // namespace ashlar
