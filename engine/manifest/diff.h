// Diff: compares two trees and descends only where their digests differ.
#pragma once

#include <functional>
#include <vector>

#include "manifest/tree.h"

namespace ashlar {

// Gives the block ids of a leaf, for leaves whose places differ although their blocks may be equal.
class BlockIdReader {
 public:
  BlockIdReader() = default;
  BlockIdReader(const BlockIdReader&) = delete;
  BlockIdReader& operator=(const BlockIdReader&) = delete;
  virtual ~BlockIdReader() = default;
  // Returns an id per block of the leaf; zero and unreadable blocks appear as their marks (node_format.h).
  virtual Result<std::vector<BlockId>> block_ids(const Leaf& leaf) = 0;
};

struct DiffCounters {
  std::uint64_t nodes_read = 0;
};

// Calls `visit` with the block ranges, ascending and merged, whose contents differ. Blocks past the end of
// the shorter volume count as different; ZERO and UNALLOCATED read the same and do not differ.
Status diff_trees(NodeReader& nodes, BlockIdReader& ids, const TreeRoot& a, const TreeRoot& b,
                  const std::function<Status(BlockRange)>& visit, DiffCounters* counters);

}  // namespace ashlar
