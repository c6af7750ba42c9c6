// ManifestBuilder: builds a tree from leaves that are added from front to back, and keeps whole subtrees of
// the parent where leaves did not change.
//
// finish() returns the root. Equal volumes whose blocks lie at equal places give equal trees, however they
// were built: a subtree whose leaves are all the same constant becomes that constant, and keeping a parent's
// subtree gives the same nodes as rebuilding it. The builder writes O(changed leaves) nodes: kept subtrees
// are referenced, never written again.
//
// One thread.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "manifest/tree.h"
#include "store/node_store.h"

namespace ashlar {

struct BuildCounters {
  std::uint64_t nodes_written = 0;
  std::uint64_t node_bytes_written = 0;
};

class ManifestBuilder {
 public:
  // The size of a volume whose end is not known yet (a stream); end_at() sets it later.
  static constexpr BlockCount kUnknownSize{leaves_below(kMaxLevel) * kLeafBlocks};

  // `parent` is the tree that keep() refers to; its size may differ.
  ManifestBuilder(NodeReader& nodes, NodeWriter& writer, BlockCount volume_blocks,
                  std::optional<TreeRoot> parent);
  ~ManifestBuilder();
  ManifestBuilder(const ManifestBuilder&) = delete;
  ManifestBuilder& operator=(const ManifestBuilder&) = delete;

  // Adds the next leaf. It covers leaf_blocks(next()) blocks. A leaf that is all zero or all unallocated
  // becomes a constant.
  Status add_leaf(const Leaf& leaf);
  // Adds the next `leaves` leaves as all zero or all unallocated. Takes O(log) steps for any count.
  Status add_constant(ChildKind kind, std::uint64_t leaves);
  // Adds the next `leaves` leaves as those of the parent at the same index. The parent must have these
  // leaves, and each must cover as many blocks there as here. Takes O(log) steps for any count. Consecutive
  // calls are joined, so it is a later call that reads nodes of the parent and reports them as damaged.
  Status keep(std::uint64_t leaves);

  // Sets the end of the volume, for a builder of kUnknownSize. Called at the latest before the last leaf is
  // added if that leaf is short. All leaves added before must lie before the end. A repeated call with the
  // same size has no effect.
  Status end_at(BlockCount volume_blocks);

  std::uint64_t next() const;  // the number of the next leaf
  // Returns the root. All leaves must have been added.
  Result<TreeRoot> finish();
  const BuildCounters& counters() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace ashlar
