// The block ids of leaves, from the directories of the segments that they name.
#pragma once

#include "manifest/diff.h"
#include "store/segments.h"

namespace ashlar {

// Any number of threads.
class StoreBlockIds : public BlockIdReader {
 public:
  explicit StoreBlockIds(SegmentReader& segments) : segments_(segments) {}
  Result<std::vector<BlockId>> block_ids(const Leaf& leaf) override;

 private:
  SegmentReader& segments_;
};

// kCorrupt when a leaf's digest is not that of the blocks that it names: a tree from elsewhere may say that
// it holds what it does not.
Status check_digest(const Leaf& leaf, BlockIdReader& ids);

}  // namespace ashlar
