// Traces as decisions: how the first reads of one more serving are merged into what is known of a snapshot,
// and what is to be expected of a snapshot that shares content with a traced one.
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

// `before` with one more serving, which read `reads` in that order. Positions are averages; what none of the
// last four servings read goes. Content and boot pack are those of `before`.
TraceRecord merged(const TraceRecord& before, std::span<const std::uint64_t> reads);

RegionOrder order_of(const TraceRecord& trace);

// Notes in the trace what its regions hold in the tree of its snapshot.
Status note_content(NodeReader& nodes, const TreeRoot& root, TraceRecord& trace);

// The regions of another tree that hold blocks of the trace's content, in its order. Walks all leaves of the
// tree, at most kMostLeaves of them.
inline constexpr std::uint64_t kMostLeavesExpected = 65536;  // 256 GiB
Result<RegionOrder> expected_by_content(NodeReader& nodes, const TreeRoot& root, const TraceRecord& trace);

// The share of `now`'s regions that `before` does not have, 0 to 1.
double news(const TraceRecord& before, const TraceRecord& now);

}  // namespace ashlar
