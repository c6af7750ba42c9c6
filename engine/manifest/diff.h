// Diff: compares two trees and descends only where their digests differ.
#pragma once

#include <functional>
#include <vector>

#include "manifest/tree.h"

namespace ashlar {

// Gives the block marks of a leaf, for leaves whose places differ although their blocks may be equal.
class BlockMarkReader {
 public:
  BlockMarkReader() = default;
  BlockMarkReader(const BlockMarkReader&) = delete;
  BlockMarkReader& operator=(const BlockMarkReader&) = delete;
  virtual ~BlockMarkReader() = default;
  // Returns a mark per block of the leaf; those of zero and unreadable blocks are in node_format.h.
  virtual Result<std::vector<BlockMark>> block_marks(const Leaf& leaf) = 0;
};

struct DiffCounters {
  std::uint64_t nodes_read = 0;
};

// Calls `visit` with the block ranges, ascending and merged, whose contents differ. Blocks past the end of
// the shorter volume count as different; ZERO and UNALLOCATED read the same and do not differ.
Status diff_trees(NodeReader& nodes, BlockMarkReader& marks, const TreeRoot& a, const TreeRoot& b,
                  const std::function<Status(BlockRange)>& visit, DiffCounters* counters);

}  // namespace ashlar
