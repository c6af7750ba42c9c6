// The look-ups of IndexState, each of which joins the answers of memory and database.
#include <algorithm>

#include "index/index_state.h"

namespace ashlar {
namespace {

// Sorts by pack and drops the second of two places in one pack: one from memory, one from the database.
template <class Place>
void merge_places(std::vector<Place>& places) {
  std::ranges::stable_sort(places, {}, &Place::pack);
  const auto same = [](const Place& a, const Place& b) { return a.pack == b.pack; };
  places.erase(std::unique(places.begin(), places.end(), same), places.end());
}

void count(const PackRow& row, IndexStats& stats) {
  (row.kind == PackKind::kData ? stats.data_packs : stats.meta_packs) += 1;
  stats.segments += row.segments.size();
  stats.nodes += row.nodes.size();
  for (const SegmentEntry& entry : row.segments) {
    stats.blocks += entry.block_count;
    stats.data_bytes += std::uint64_t{entry.directory_bytes} + entry.payload_bytes;
  }
  for (const NodeEntry& entry : row.nodes) stats.node_bytes += entry.bytes;
}

}  // namespace

Result<std::map<std::uint64_t, SegmentId>> IndexState::resolve(
    const std::set<std::uint64_t>& prefixes) const {
  std::map<std::uint64_t, SegmentId> ids;
  if (database() != nullptr) ids = TRY(database()->resolve(prefixes, memory_.masked()));
  for (const std::uint64_t prefix : prefixes) {
    const auto id = memory_.resolve(prefix);
    if (!id) continue;
    const auto [place, added] = ids.try_emplace(prefix, *id);
    if (!added) place->second = std::min(place->second, *id);
  }
  return ids;
}

Result<std::vector<std::optional<SegmentId>>> IndexState::find_hooks(std::span<const BlockId> blocks) {
  using Answers = std::vector<std::optional<SegmentId>>;
  return answer([&]() -> Result<Answers> {
    std::vector<std::uint64_t> keys;
    keys.reserve(blocks.size());
    for (const BlockId& block : blocks) keys.push_back(ordered_prefix(block));
    std::vector<std::vector<std::uint64_t>> segments(keys.size());
    if (database() != nullptr) segments = TRY(database()->find_hooks(keys));
    std::set<std::uint64_t> prefixes;
    for (std::size_t k = 0; k < keys.size(); ++k) {
      memory_.find_hook(keys[k], segments[k]);
      std::ranges::sort(segments[k]);
      prefixes.insert(segments[k].begin(), segments[k].end());
    }
    const auto ids = TRY(resolve(prefixes));
    Answers answers(blocks.size());
    for (std::size_t k = 0; k < keys.size(); ++k) {
      const auto lives = std::ranges::find_if(segments[k], [&](std::uint64_t s) { return ids.contains(s); });
      if (lives != segments[k].end()) answers[k] = ids.at(*lives);
    }
    return answers;
  });
}

Result<std::vector<SegmentPlace>> IndexState::segment_places(const SegmentId& id) {
  return answer([&]() -> Result<std::vector<SegmentPlace>> {
    std::vector<SegmentPlace> places;
    if (database() != nullptr) places = TRY(database()->segment_places(id, memory_.masked()));
    memory_.find_places(id, places);
    merge_places(places);
    return places;
  });
}

Result<std::vector<NodePlace>> IndexState::node_places(const NodeId& id) {
  return answer([&]() -> Result<std::vector<NodePlace>> {
    std::vector<NodePlace> places;
    if (database() != nullptr) places = TRY(database()->node_places(id, memory_.masked()));
    memory_.find_places(id, places);
    merge_places(places);
    return places;
  });
}

Result<std::optional<PackRow>> IndexState::known(const PackId& pack) const {
  const auto in_memory = memory_.packs().find(pack);
  if (in_memory != memory_.packs().end()) return std::optional(in_memory->second);
  if (database() == nullptr || memory_.masked().contains(pack)) return std::optional<PackRow>();
  return database()->find_pack(pack);
}

Result<std::optional<PackRow>> IndexState::find_pack(const PackId& pack) {
  return answer([&] { return known(pack); });
}

Result<IndexStats> IndexState::stats() {
  return answer([&]() -> Result<IndexStats> {
    IndexStats stats;
    for (const auto& [pack, row] : memory_.packs()) count(row, stats);
    stats.hooks = memory_.hook_count();
    stats.damaged_packs = damaged_.size();
    stats.unread_packs = unread_.size();
    stats.writable = directory_ && can_write_;
    if (directory_) stats.disk_bytes = directory_->bytes();
    if (database() == nullptr) return stats;
    TRY(database()->each_pack([&](const PackId& pack, const PackRow& row) {
      if (!memory_.packs().contains(pack) && !memory_.masked().contains(pack)) count(row, stats);
    }));
    stats.hooks += database()->estimated_hooks();
    return stats;
  });
}

}  // namespace ashlar
