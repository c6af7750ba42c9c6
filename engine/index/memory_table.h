// Rows of the index that live in this process only: all of them for an index in memory; beside a database,
// what could not be written to it, because another process owns it or its disk is full.
//
// Not locked: the Index does that.
#pragma once

#include <map>
#include <set>
#include <utility>

#include "index/index_rows.h"

namespace ashlar {

// Hooks kept in memory: 2^21 take about 128 MiB and stand for 128 GiB of new data. What comes after is not
// hooked, which costs duplicates and nothing else.
inline constexpr std::size_t kMaxMemoryHooks = std::size_t{1} << 21U;

class MemoryTable {
 public:
  void add(const PackRows& rows);
  // Drops the pack's rows. Its hooks stay and lead nowhere, as they do in the database.
  void drop(const PackId& pack);
  void clear();

  // Packs that the database still holds and that are gone all the same.
  void mask(const PackId& pack) { masked_.insert(pack); }
  void unmask(const PackId& pack) { masked_.erase(pack); }
  const std::set<PackId>& masked() const { return masked_; }

  const std::map<PackId, PackRow>& packs() const { return packs_; }
  std::size_t hook_count() const { return hooks_.size(); }

  // Appends the segments that a hook names.
  void find_hook(std::uint64_t block, std::vector<std::uint64_t>& segments) const;
  // The smallest segment id that starts so.
  std::optional<SegmentId> resolve(std::uint64_t prefix) const;
  std::optional<SegmentPlace> find_segment(const SegmentId& id) const;
  std::optional<NodePlace> find_node(const NodeId& id) const;

 private:
  std::map<PackId, PackRow> packs_;
  std::map<std::pair<SegmentId, PackId>, SegmentEntry> segments_;
  std::map<std::pair<NodeId, PackId>, NodeEntry> nodes_;
  std::set<Hook> hooks_;
  std::set<PackId> masked_;
};

}  // namespace ashlar
