// One leaf on its way from hashed runs to a draft: first what each block is, then, when something changed,
// where it is.
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

  // A run of the leaf; its buffer is held until this is destroyed. A stream's last leaf is cut to what came.
  void take(HashedRun run);
  void cut(std::uint32_t block_count);

  std::uint32_t block_count() const { return static_cast<std::uint32_t>(blocks_.size()); }
  // Every block reads as in the parent's leaf, is of the same kind, and lies where it lay.
  bool is_parents() const;
  // Blocks known to equal the parent's: by their region's hash, or by their ids once these were compared.
  std::uint32_t same_blocks() const { return same_blocks_; }

  // Finds the ids and places of the parent's blocks. Blocks that were read and equal the parent's at their
  // place become the parent's. Once, before draft(); after it is_parents() may be true.
  Status resolve(Admission& admission, SegmentReader& segments);
  // Admits the changed blocks and says where every block is. Once, and only when not is_parents().
  Result<LeafDraft> draft(Admission& admission);
  void count(BlockCounts& counts) const;

 private:
  struct Block {
    BlockState state;
    bool from_parent = false;          // state.place is to be taken from parent_blocks_
    const std::byte* bytes = nullptr;  // of a block to be admitted
  };

  void take_parents(std::uint32_t first, std::uint32_t count);
  void take_region(const HashedRun& run, std::uint32_t region_in_run);
  void take_block_of_parent(std::uint32_t block);
  void take_region_hashes_of_parent();
  Status admit(Admission& admission);

  std::shared_ptr<const PlannedLeaf> planned_;
  std::vector<LeafExtent> parent_blocks_;  // the parent's leaf, one extent a block; empty without a parent
  std::vector<Block> blocks_;
  std::vector<BlockId> ids_;  // one a block: for the content digest and for admission
  std::uint64_t region_mask_ = 0;
  std::vector<RegionHash> region_hashes_;  // by region number
  std::vector<HashedRun> runs_;
  std::uint32_t same_blocks_ = 0;
};

}  // namespace ashlar
