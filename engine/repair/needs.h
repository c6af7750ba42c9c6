// RepairNeeds: what snapshots need and no sound place holds, as far as reads, scrubs and checks have recorded
// damage. Internal to the module. A node of which every place is damaged, and that can still be read, counts
// too.
//
// A place of a block is sound when its pack is there, the directory can be read, the frame is in it, and
// nothing is recorded against it.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <stop_token>
#include <string>
#include <vector>

#include "catalog/snapshots.h"
#include "store/node_store.h"
#include "store/segments.h"

namespace ashlar {

struct SegmentNeed {
  SegmentBlocks blocks;
  std::vector<BlockId> ids;  // of all blocks of the segment; empty: no directory of it can be read
};

struct RepairNeeds {
  std::map<SegmentId, SegmentNeed> segments;
  std::set<NodeId> nodes;

  bool empty() const { return segments.empty() && nodes.empty(); }
  std::uint64_t blocks() const;
};

// The parts of a store that are asked.
struct NeedsParts {
  Index& index;
  NodeReader& nodes;
  SegmentReader& segments;
  const DamagedFrames& damage;
};

// Returns the blocks of a segment that are recorded as damaged and in no sound place.
Result<SegmentNeed> find_recorded_need(SegmentReader& segments, const SegmentId& id);

// Walks all snapshots, those in the bin too. What lies under a node that can't be read is not known, and
// comes with a later call. Adds a line to `warnings` for each snapshot whose record can't be read.
Result<RepairNeeds> find_needs(const SnapshotCatalog& snapshots, const NeedsParts& parts,
                               std::vector<std::string>& warnings, const std::stop_token& stop);

}  // namespace ashlar
