#include "volume/trace.h"

#include <algorithm>
#include <array>
#include <memory>
#include <tuple>
#include <unordered_map>
#include <unordered_set>

namespace ashlar {
namespace {

constexpr std::uint32_t kServingsKept = 4;
constexpr std::uint32_t kNowhere = 0xffffffff;

// Calls visit(extent, its first block in the leaf) for the data of a leaf.
template <class Visit>
void each_data_extent(const Leaf& leaf, const Visit& visit) {
  std::size_t at = 0;
  for (const LeafExtent& extent : leaf.extents) {
    if (extent.kind == ExtentKind::kData) visit(extent, at);
    at += extent.block_count;
  }
}

// Adds spans to a trace, and merges neighbours.
class Content {
 public:
  explicit Content(TraceRecord& trace) : trace_(trace) {
    trace.segments.clear();
    trace.content.clear();
  }
  bool full() const {
    return trace_.content.size() >= kMaxTraceSpans || trace_.segments.size() >= kMaxTraceSegments;
  }
  void add(const SegmentId& id, std::size_t first, std::size_t count) {
    if (full()) return;
    const auto [place, is_new] = numbers_.emplace(id, static_cast<std::uint32_t>(trace_.segments.size()));
    if (is_new) trace_.segments.push_back(id);
    if (!trace_.content.empty()) {
      TracedSpan& last = trace_.content.back();
      if (last.segment == place->second && last.first_block + last.block_count == static_cast<int>(first)) {
        last.block_count = static_cast<std::uint16_t>(last.block_count + count);
        return;
      }
    }
    trace_.content.push_back(
        {place->second, static_cast<std::uint16_t>(first), static_cast<std::uint16_t>(count)});
  }

 private:
  TraceRecord& trace_;
  std::unordered_map<SegmentId, std::uint32_t, IdHash> numbers_;
};

void add_region(const Leaf& leaf, std::size_t first, std::size_t end, Content& content) {
  each_data_extent(leaf, [&](const LeafExtent& extent, std::size_t at) {
    const std::size_t from = std::max(at, first);
    const std::size_t to = std::min<std::size_t>(at + extent.block_count, end);
    if (from < to) content.add(leaf.segments[extent.segment], extent.first_block + (from - at), to - from);
  });
}

// The position of each block of each traced segment in the order of first reads; kNowhere when not wanted.
using BlockOrder = std::array<std::uint32_t, kSegmentBlocks>;
using WantedBlocks = std::unordered_map<SegmentId, std::unique_ptr<BlockOrder>, IdHash>;

WantedBlocks wanted_blocks(const TraceRecord& trace) {
  WantedBlocks wanted;
  std::uint32_t position = 0;
  for (const TracedSpan& span : trace.content) {
    auto& order = wanted[trace.segments[span.segment]];
    if (!order) {
      order = std::make_unique<BlockOrder>();
      order->fill(kNowhere);
    }
    for (std::size_t i = 0; i < span.block_count; ++i) {
      std::uint32_t& place = (*order)[span.first_block + i];
      place = std::min(place, position);
    }
    ++position;
  }
  return wanted;
}

void expect_leaf(const Leaf& leaf, std::uint64_t first_block, const WantedBlocks& wanted,
                 std::unordered_map<std::uint64_t, std::uint32_t>& regions) {
  each_data_extent(leaf, [&](const LeafExtent& extent, std::size_t at) {
    const auto found = wanted.find(leaf.segments[extent.segment]);
    if (found == wanted.end()) return;
    for (std::size_t i = 0; i < extent.block_count; ++i) {
      const std::uint32_t position = (*found->second)[(extent.first_block + i) % kSegmentBlocks];
      if (position == kNowhere) continue;
      const std::uint64_t region = (first_block + at + i) / kTraceRegionBlocks;
      const auto [place, is_new] = regions.emplace(region, position);
      if (!is_new) place->second = std::min(place->second, position);
    }
  });
}

}  // namespace

TraceRecord merged(const TraceRecord& before, std::span<const std::uint64_t> reads) {
  TraceRecord now = before;
  now.servings = before.servings + 1;
  std::unordered_map<std::uint64_t, std::size_t> places;
  for (std::size_t i = 0; i < now.regions.size(); ++i) places.emplace(now.regions[i].region, i);
  for (std::uint32_t i = 0; i < reads.size(); ++i) {
    const auto found = places.find(reads[i]);
    if (found == places.end()) {
      now.regions.push_back({reads[i], i, now.servings});
      continue;
    }
    TracedRegion& region = now.regions[found->second];
    region.position = static_cast<std::uint32_t>((std::uint64_t{region.position} + i) / 2);
    region.last_seen = now.servings;
  }
  std::erase_if(now.regions,
                [&](const TracedRegion& region) { return now.servings - region.last_seen >= kServingsKept; });
  std::ranges::sort(now.regions, [](const TracedRegion& a, const TracedRegion& b) {
    return std::tie(a.position, a.region) < std::tie(b.position, b.region);
  });
  if (now.regions.size() > kMaxTraceRegions) now.regions.resize(kMaxTraceRegions);
  return now;
}

RegionOrder order_of(const TraceRecord& trace) {
  RegionOrder order;
  order.reserve(trace.regions.size());
  for (const TracedRegion& region : trace.regions) order.push_back(region.region);
  return order;
}

Status note_content(NodeReader& nodes, const TreeRoot& root, TraceRecord& trace) {
  LeafCursor cursor(nodes, root);
  Content content(trace);
  for (const TracedRegion& traced : trace.regions) {
    const std::uint64_t index = traced.region / kTraceRegionsOfLeaf;
    if (content.full()) break;
    if (index >= leaf_count(root.blocks)) continue;  // past the snapshot's end: the volume grew
    const LeafSpan span = TRY(cursor.at(index));
    if (!span.ref.is_node()) continue;
    const auto leaf = TRY(cursor.load(span));
    const std::size_t first = traced.region % kTraceRegionsOfLeaf * kTraceRegionBlocks;
    add_region(*leaf, first, first + kTraceRegionBlocks, content);
  }
  return {};
}

Result<RegionOrder> expected_by_content(NodeReader& nodes, const TreeRoot& root, const TraceRecord& trace) {
  const WantedBlocks wanted = wanted_blocks(trace);
  std::unordered_map<std::uint64_t, std::uint32_t> regions;
  LeafCursor cursor(nodes, root);
  const std::uint64_t leaves = leaf_count(root.blocks);
  std::uint64_t loaded = 0;
  for (std::uint64_t index = 0; index < leaves && loaded < kMostLeavesExpected;) {
    const LeafSpan span = TRY(cursor.at(index));
    if (span.ref.is_node()) {
      ++loaded;
      expect_leaf(*TRY(cursor.load(span)), index * kLeafBlocks, wanted, regions);
    }
    index = span.first + span.count;
  }
  std::vector<std::pair<std::uint32_t, std::uint64_t>> sorted;
  sorted.reserve(regions.size());
  for (const auto& [region, position] : regions) sorted.emplace_back(position, region);
  std::ranges::sort(sorted);
  RegionOrder order;
  order.reserve(sorted.size());
  for (const auto& [position, region] : sorted) order.push_back(region);
  return order;
}

double news(const TraceRecord& before, const TraceRecord& now) {
  if (now.regions.empty()) return 0;
  std::unordered_set<std::uint64_t> known;
  for (const TracedRegion& region : before.regions) known.insert(region.region);
  const auto fresh = std::ranges::count_if(
      now.regions, [&](const TracedRegion& region) { return !known.contains(region.region); });
  return static_cast<double>(fresh) / static_cast<double>(now.regions.size());
}

}  // namespace ashlar
