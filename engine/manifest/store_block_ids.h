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

}  // namespace ashlar
