// LeafAssembly: one leaf between its hashed runs and its draft. First it decides what each block is; then,
// when something changed, it finds where each block lies. Internal to the module.
//
// Order of calls: take() for each run (and cut() at the end of a stream), then, unless is_parents(),
// resolve(); then, unless is_parents() holds by that time, draft(). One thread.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "base/result.h"
#include "capture/hash.h"
#include "capture/leaf_draft.h"
#include "capture/plan.h"
#include "store/admission.h"
#include "store/segments.h"

namespace ashlar {

class LeafAssembly {
 public:
  explicit LeafAssembly(std::shared_ptr<const PlannedLeaf> planned);

  // Takes a run of the leaf; its buffer is held until the LeafAssembly is destroyed.
  void take(HashedRun run);
  // Shortens a stream's last leaf to the blocks that arrived.
  void cut(std::uint32_t block_count);

  std::uint32_t block_count() const { return static_cast<std::uint32_t>(blocks_.size()); }
  // Returns whether every block reads as in the parent's leaf, is of the same kind and lies at the same
  // place.
  bool is_parents() const;
  // Returns the number of blocks known to equal the parent's: by the hash of their region, or by their ids,
  // which resolve() compares.
  std::uint32_t same_blocks() const { return same_blocks_; }

  // Finds the marks and places of the parent's blocks. A block that was read and equals the parent's block at
  // the same offset is taken from the parent. Called once, before draft(). Afterwards is_parents() may be
  // true where it was false.
  Status resolve(Admission& admission, SegmentReader& segments);
  // Returns whether the changed-block map missed a change: a block that it calls the parent's was read all
  // the same, in a gap between changed regions, and is another one. Valid after is_parents() was true or
  // resolve() was called.
  bool map_missed() const;
  // Admits the changed blocks and returns where every block lies. Called once, and only when not
  // is_parents().
  Result<LeafDraft> draft(Admission& admission);
  void count(BlockCounts& counts) const;

 private:
  struct Block {
    BlockState state;
    bool from_parent = false;          // state.place comes from the parent's leaf
    const std::byte* bytes = nullptr;  // the bytes of a block to be admitted, else null
  };

  void take_parents(std::uint32_t first, std::uint32_t count);
  void take_region(const HashedRun& run, std::uint32_t region_in_run);
  void take_block_of_parent(std::uint32_t block);
  void take_zeros(std::uint32_t block);
  ExtentKind kind_in_parent(std::uint32_t block) const;
  void take_region_hashes_of_parent();
  Status admit(Admission& admission);

  std::shared_ptr<const PlannedLeaf> planned_;
  std::vector<LeafExtent> parent_blocks_;  // the parent's leaf, one extent per block; empty without a parent
  std::vector<Block> blocks_;
  std::vector<BlockMark> marks_;  // an entry per block: for the content digest and for admission
  std::uint64_t region_mask_ = 0;
  std::vector<RegionHash> region_hashes_;  // indexed by region number
  std::vector<HashedRun> runs_;
  std::uint32_t same_blocks_ = 0;
};

}  // namespace ashlar
