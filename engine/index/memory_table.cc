#include "index/memory_table.h"

#include <algorithm>

namespace ashlar {

void MemoryTable::add(const PackRows& rows) {
  drop(rows.pack);
  for (const SegmentEntry& entry : rows.row.segments)
    segments_.insert_or_assign({entry.id, rows.pack}, entry);
  for (const NodeEntry& entry : rows.row.nodes) nodes_.insert_or_assign({entry.id, rows.pack}, entry);
  packs_.insert_or_assign(rows.pack, rows.row);
  if (hooks_.size() + rows.hooks.size() <= kMaxMemoryHooks)
    hooks_.insert(rows.hooks.begin(), rows.hooks.end());
}

void MemoryTable::drop(const PackId& pack) {
  const auto found = packs_.find(pack);
  if (found == packs_.end()) return;
  for (const SegmentEntry& entry : found->second.segments) segments_.erase({entry.id, pack});
  for (const NodeEntry& entry : found->second.nodes) nodes_.erase({entry.id, pack});
  packs_.erase(found);
  if (packs_.empty()) hooks_.clear();
}

void MemoryTable::drop_written(const PackRows& rows) {
  drop(rows.pack);
  for (const Hook& hook : rows.hooks) hooks_.erase(hook);
}

void MemoryTable::clear() { *this = MemoryTable(); }

void MemoryTable::find_hook(std::uint64_t block, std::vector<std::uint64_t>& segments) const {
  for (auto it = hooks_.lower_bound({block, 0}); it != hooks_.end() && it->block == block; ++it) {
    segments.push_back(it->segment);
  }
}

std::optional<SegmentId> MemoryTable::resolve(std::uint64_t prefix) const {
  SegmentId first;
  const std::string start = big_endian_text(prefix);
  std::memcpy(first.bytes.data(), start.data(), start.size());
  const auto it = segments_.lower_bound({first, PackId{}});
  if (it == segments_.end() || ordered_prefix(it->first.first) != prefix) return std::nullopt;
  return it->first.first;
}

void MemoryTable::find_places(const SegmentId& id, std::vector<SegmentPlace>& places) const {
  for (auto it = segments_.lower_bound({id, PackId{}}); it != segments_.end() && it->first.first == id; ++it)
    places.push_back({it->first.second, it->second});
}

void MemoryTable::find_places(const NodeId& id, std::vector<NodePlace>& places) const {
  for (auto it = nodes_.lower_bound({id, PackId{}}); it != nodes_.end() && it->first.first == id; ++it)
    places.push_back({it->first.second, it->second});
}

}  // namespace ashlar
