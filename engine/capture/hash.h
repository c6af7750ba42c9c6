// Hash ladder: decides, region by region, what the bytes of a run are.
//
//   1 all bytes are zero                                    -> kZero
//   2 the region's hash equals the one in the parent's leaf -> kSame: no block mark is computed
//   3 otherwise: SHA-256 of each 4 KiB block                -> kData
#pragma once

#include <cstdint>
#include <vector>

#include "base/id.h"
#include "base/result.h"
#include "capture/plan.h"
#include "codec/hash.h"
#include "source/source.h"

namespace ashlar {

enum class RegionState : std::uint8_t { kZero, kSame, kData };

// Stands for a block that the source reports as equal to the parent's (Run::unchanged). The other marks are
// in node_format.h.
constexpr BlockMark unchanged_block_mark() {
  BlockMark mark;
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
  std::vector<BlockMark> marks;       // an entry per block; zero in kSame and kZero regions

  // Returns the number of blocks whose SHA-256 was computed.
  std::uint32_t marked_blocks() const;
  std::uint32_t block_count() const { return static_cast<std::uint32_t>(run.bytes.size() / kBlockBytes); }
};

// Hashes a run. Any thread may call it. `trust_regions` is false for a paranoid capture: step 2 is skipped.
HashedRun hash_run(Run run, Plan::RunPlace place, const RegionSecret& secret, bool trust_regions);

}  // namespace ashlar
