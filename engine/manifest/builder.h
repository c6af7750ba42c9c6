// Building a manifest: leaves go in from front to back, subtrees of the parent are kept whole where nothing
// changed.
//
// finish() gives the root. Equal volumes with equal places give equal trees, whatever way they were built: a
// subtree whose leaves are all the same constant becomes that constant, and keeping a parent's subtree gives
// what rebuilding it would. Writes O(changed leaves) nodes: kept subtrees are referenced, never rewritten.
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
  // For a volume whose size is known at its end only (a stream): end_at() then says it.
  static constexpr BlockCount kUnknownSize{leaves_below(kMaxLevel) * kLeafBlocks};

  // `parent`: the tree that keep() refers to; its size may differ.
  ManifestBuilder(NodeReader& nodes, NodeWriter& writer, BlockCount volume_blocks,
                  std::optional<TreeRoot> parent);
  ~ManifestBuilder();
  ManifestBuilder(const ManifestBuilder&) = delete;
  ManifestBuilder& operator=(const ManifestBuilder&) = delete;

  // The next leaf. It covers leaf_blocks(next()) blocks. A leaf that is all zero or all unallocated becomes a
  // constant.
  Status add_leaf(const Leaf& leaf);
  // The next `leaves` leaves are all zero or all unallocated. O(log) for any count.
  Status add_constant(ChildKind kind, std::uint64_t leaves);
  // The next `leaves` leaves are those of the parent at the same place. They must be leaves that the parent
  // has and that cover as many blocks there. O(log) for any count.
  // Neighbouring calls act as one, so nodes of the parent are read, and found damaged, by a later call.
  Status keep(std::uint64_t leaves);

  // The volume ends after `volume_blocks` blocks: for a builder of kUnknownSize, at the latest before its
  // last leaf when that one is short. All leaves added so far lie before the end. Saying the same again does
  // nothing.
  Status end_at(BlockCount volume_blocks);

  std::uint64_t next() const;  // number of the leaf that comes next
  // All leaves were added.
  Result<TreeRoot> finish();
  const BuildCounters& counters() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace ashlar
