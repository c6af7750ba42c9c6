// MemoryTable: rows of the index that are in the memory of this process only. For an index in memory these
// are all rows; next to a database, the rows that wait for their batch, or could not be written because the
// disk is full. Internal to the module.
//
// For one thread at a time: the Index locks around it.
#pragma once

#include <map>
#include <set>
#include <utility>

#include "index/index_rows.h"

namespace ashlar {

// The number of hooks kept in memory: 2^21 take about 128 MiB and stand for 512 GiB of new data at one hook
// of 64 blocks. Packs beyond this add no hooks, so later copies of their blocks may be stored twice; nothing
// else suffers.
inline constexpr std::size_t kMaxMemoryHooks = std::size_t{1} << 21U;

class MemoryTable {
 public:
  void add(const PackRows& rows);
  // Removes the pack's rows. Its hooks stay and lead to no segment, as they do in the database.
  void drop(const PackId& pack);
  // Removes rows and hooks that the database has.
  void drop_written(const PackRows& rows);
  void clear();

  // The masked packs are those that the database still holds and that do not exist any longer.
  void mask(const PackId& pack) { masked_.insert(pack); }
  void unmask(const PackId& pack) { masked_.erase(pack); }
  const std::set<PackId>& masked() const { return masked_; }

  const std::map<PackId, PackRow>& packs() const { return packs_; }
  std::size_t hook_count() const { return hooks_.size(); }

  // Appends the segments that a hook names.
  void find_hook(std::uint64_t block, std::vector<std::uint64_t>& segments) const;
  // Returns the smallest segment id that starts with `prefix`.
  std::optional<SegmentId> resolve(std::uint64_t prefix) const;
  // Append the places, in the order of pack ids.
  void find_places(const SegmentId& id, std::vector<SegmentPlace>& places) const;
  void find_places(const NodeId& id, std::vector<NodePlace>& places) const;

 private:
  std::map<PackId, PackRow> packs_;
  std::map<std::pair<SegmentId, PackId>, SegmentEntry> segments_;
  std::map<std::pair<NodeId, PackId>, NodeEntry> nodes_;
  std::set<Hook> hooks_;
  std::set<PackId> masked_;
};

}  // namespace ashlar
