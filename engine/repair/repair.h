// Repair: stores anew what snapshots need and no sound place holds any more, from wherever it still is.
//
// Packs are never changed: what is found is stored in new packs, as further places of the same segments and
// nodes, and reads find it there. A collection then drops the damaged packs. What is found nowhere is
// recorded as lost (catalog/damage.h): reading it is an error that names it. Trees and digests stay as they
// are.
//
// A repair goes by what is recorded as damaged and what is gone. It reads no frame to see whether it is
// sound: verify and scrub do that.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <stop_token>
#include <string>
#include <vector>

#include "repair/other_packs.h"
#include "store/parts.h"

namespace ashlar {

// Blocks that something outside of a store holds, a disk or a volume: calls `offer` with each of them (4096
// bytes), in any order. It may leave out those of which `offer` would find no use.
using VisitBlocks = std::function<Status(const std::function<Status(ByteSpan)>& offer)>;

struct RepairSources {
  std::vector<HealingStore> stores;  // other stores
  std::vector<VisitBlocks> blocks;
};

struct RepairProgress {
  std::atomic<std::uint64_t> healed_bytes{0};
};

struct RepairReport {
  std::uint64_t needed_blocks = 0;  // were in no sound place
  std::uint64_t needed_nodes = 0;   // those that were seen; there may be more under what is lost
  std::uint64_t healed_blocks = 0;
  std::uint64_t healed_nodes = 0;
  std::uint64_t lost_blocks = 0;
  std::uint64_t lost_nodes = 0;
  std::vector<std::string> records;  // keys of records that were put back
  std::vector<std::string> warnings;
};

// Heals what it can, from this store's other packs first. Fails when something can't be read for a reason
// that is not damage; what was healed until then is stored.
Result<RepairReport> repair(const WriteParts& parts, const RepairSources& sources, RepairProgress& progress,
                            const std::stop_token& stop);

// Heals what is recorded as damaged from the packs that a capture has just written: it stored damaged blocks
// anew. RepairNeeds no walk over snapshots. Returns the number of blocks.
Result<std::uint64_t> heal_from_capture(const WriteParts& parts, const SessionId& capture,
                                        const std::stop_token& stop);

}  // namespace ashlar
