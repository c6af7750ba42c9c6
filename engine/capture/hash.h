// Hash ladder: decides, region by region, what the bytes of a run are.
//
//   1 all bytes are zero                                  -> kZero
//   2 XXH3-128 equals the hash in the parent's leaf       -> kSame: no block id is computed
//   3 otherwise: SHA-256 of each 4 KiB block              -> kData
#pragma once

#include <cstdint>
#include <vector>

#include "base/id.h"
#include "base/result.h"
#include "capture/plan.h"
#include "source/source.h"

namespace ashlar {

enum class RegionState : std::uint8_t { kZero, kSame, kData };

// Stands for a block that the source reports as equal to the parent's (Run::unchanged). The other marks are
// in node_format.h.
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
  std::uint32_t first_block = 0;      // counted from the start of the leaf
  std::vector<HashedRegion> regions;  // an entry per region of the run
  std::vector<BlockId> ids;  // an entry per block: its id, or a mark; zero in kSame and kZero regions

  std::uint32_t block_count() const { return static_cast<std::uint32_t>(run.bytes.size() / kBlockBytes); }
};

// Hashes a run. Any thread may call it. `trust_regions` is false for a paranoid capture: step 2 is skipped.
HashedRun hash_run(Run run, Plan::RunPlace place, std::uint64_t region_seed, bool trust_regions);

}  // namespace ashlar
