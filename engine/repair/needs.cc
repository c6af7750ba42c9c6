#include "repair/needs.h"

#include <algorithm>
#include <mutex>

#include "base/parallel.h"
#include "collect/liveness.h"
#include "store/place_errors.h"

namespace ashlar {

std::uint64_t RepairNeeds::blocks() const {
  std::uint64_t count = 0;
  for (const auto& [id, need] : segments) count += need.blocks.count();
  return count;
}

namespace {

using Places = std::vector<std::shared_ptr<const LocatedSegment>>;

// Takes out of `wanted` what is sound at one of the places.
SegmentNeed need_at(const SegmentReader& segments, const Places& places, const SegmentBlocks& wanted) {
  SegmentNeed need{wanted, places.front()->directory.blocks};
  for (const auto& place : places) need.blocks &= ~(place->present & ~segments.damaged_blocks(*place));
  return need;
}

Result<SegmentNeed> need_of(SegmentReader& segments, const SegmentId& id, const SegmentBlocks& wanted) {
  auto places = segments.locate_all(id);
  if (places.ok()) return need_at(segments, places.value(), wanted);
  if (!says_lost(places.error())) return places.take_error();
  return SegmentNeed{wanted, {}};
}

// A node that can be read now is lost with the index when its packs have damaged ends.
Result<bool> is_damaged_everywhere(const NeedsParts& parts, const NodeId& node) {
  const auto places = TRY(parts.index.node_places(node));
  return std::ranges::all_of(
      places, [&](const NodePlace& place) { return parts.damage.is_damaged(place.pack, node); });
}

}  // namespace

Result<SegmentNeed> find_recorded_need(SegmentReader& segments, const SegmentId& id) {
  auto places = segments.locate_all(id);
  if (!places.ok())
    return says_lost(places.error()) ? Result<SegmentNeed>(SegmentNeed()) : places.take_error();
  SegmentBlocks damaged;
  for (const auto& place : places.value()) damaged |= place->present & segments.damaged_blocks(*place);
  return need_at(segments, places.value(), damaged);
}

Result<RepairNeeds> find_needs(const SnapshotCatalog& snapshots, const NeedsParts& parts,
                               std::vector<std::string>& warnings, const std::stop_token& stop) {
  RepairNeeds needs;
  Liveness live(parts.nodes);
  const auto note = [&](const NodeId& id, const Error& why) -> Status {
    if (!says_lost(why)) return why;
    needs.nodes.insert(id);
    return {};
  };
  for (const SnapshotId id : TRY(snapshots.list_ids())) {
    const auto object = snapshots.read(id);
    if (is(object, ErrorCode::kNotFound)) continue;
    if (!object.ok()) {
      warnings.push_back(object.error().text());
      continue;
    }
    if (const SnapshotRecord* record = record_of(object.value())) TRY(live.mark(*record, stop, note));
  }
  if (parts.damage.any()) {
    for (const NodeId& id : live.needed_nodes()) {
      if (TRY(is_damaged_everywhere(parts, id))) needs.nodes.insert(id);
    }
  }
  const std::vector<SegmentId> ids = live.needed_segments();
  std::mutex mutex;
  TRY(parallel_for(ids.size(), processor_count(), stop, [&](std::size_t i) -> Status {
    SegmentNeed need = TRY(need_of(parts.segments, ids[i], live.blocks(ids[i])));
    if (need.blocks.none()) return {};
    const std::lock_guard lock(mutex);
    needs.segments.emplace(ids[i], std::move(need));
    return {};
  }));
  return needs;
}

}  // namespace ashlar
