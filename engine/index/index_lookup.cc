// The look-ups of IndexState, each of which joins the answers of memory and database.
#include <algorithm>

#include "index/index_state.h"

namespace ashlar {
namespace {

template <class Place>
std::optional<Place> smaller_pack(const std::optional<Place>& a, const std::optional<Place>& b) {
  if (!a || !b) return a ? a : b;
  return a->pack < b->pack ? a : b;
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
  if (database_ != nullptr) ids = TRY(database_->resolve(prefixes, memory_.masked()));
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
    if (database_ != nullptr) segments = TRY(database_->find_hooks(keys));
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

Result<std::optional<SegmentPlace>> IndexState::find_segment(const SegmentId& id) {
  return answer([&]() -> Result<std::optional<SegmentPlace>> {
    const auto in_memory = memory_.find_segment(id);
    if (database_ == nullptr) return in_memory;
    return smaller_pack(in_memory, TRY(database_->find_segment(id, memory_.masked())));
  });
}

Result<std::optional<NodePlace>> IndexState::find_node(const NodeId& id) {
  return answer([&]() -> Result<std::optional<NodePlace>> {
    const auto in_memory = memory_.find_node(id);
    if (database_ == nullptr) return in_memory;
    return smaller_pack(in_memory, TRY(database_->find_node(id, memory_.masked())));
  });
}

Result<std::optional<PackRow>> IndexState::known(const PackId& pack) const {
  const auto in_memory = memory_.packs().find(pack);
  if (in_memory != memory_.packs().end()) return std::optional(in_memory->second);
  if (database_ == nullptr || memory_.masked().contains(pack)) return std::optional<PackRow>();
  return database_->find_pack(pack);
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
    stats.writable = writes_to_disk();
    if (directory_) stats.disk_bytes = directory_->bytes();
    if (database_ == nullptr) return stats;
    TRY(database_->each_pack([&](const PackId& pack, const PackRow& row) {
      if (!memory_.packs().contains(pack) && !memory_.masked().contains(pack)) count(row, stats);
    }));
    stats.hooks += database_->estimated_hooks();
    return stats;
  });
}

}  // namespace ashlar
