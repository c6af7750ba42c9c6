// The hash ladder: what a run's bytes are, region by region.
//
//   1 all zero                                         -> kZero
//   2 XXH3-128 equal to what the parent's leaf keeps   -> kSame: nothing more is computed
//   3 SHA-256 of each 4 KiB block                      -> kData
#pragma once

#include <cstdint>
#include <vector>

#include "base/id.h"
#include "base/result.h"
#include "capture/plan.h"
#include "source/source.h"

namespace ashlar {

enum class RegionState : std::uint8_t { kZero, kSame, kData };

// Stands for a block that the source calls the parent's (Run::unchanged). The other marks: node_format.h.
constexpr BlockId unchanged_block_mark() {
  BlockId mark;
  mark.bytes[0] = std::byte{1};
  return mark;
}

struct HashedRegion {
  RegionState state = RegionState::kData;
  bool has_hash = false;  // false for zeros, and for regions of which not every block was read
  RegionHash hash;
};

struct HashedRun {
  Run run;
  std::shared_ptr<const PlannedLeaf> leaf;
  std::uint32_t first_block = 0;      // in the leaf
  std::vector<HashedRegion> regions;  // one a region of the run
  std::vector<BlockId> ids;           // one a block: its id, or a mark; unset in kSame regions

  std::uint32_t block_count() const { return static_cast<std::uint32_t>(run.bytes.size() / kBlockBytes); }
};

// Any thread. `trust_regions` is false for a paranoid capture: step 2 is skipped.
HashedRun hash_run(Run run, Plan::RunPlace place, std::uint64_t region_seed, bool trust_regions);

}  // namespace ashlar
