// KnownBlocks: the block ids of the directories that an admission holds, searchable by id.
// Internal to the module.
//
// It holds a bounded number of directories and drops the one that was added longest ago, but never the one
// that is being filled. An open-addressing table indexed by eight bytes of the id points into them; a lookup
// compares the whole id. One thread.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <span>
#include <vector>

#include "base/id.h"
#include "store/admission.h"

namespace ashlar {

class KnownBlocks {
 public:
  // Creates room for `directories` directories of kSegmentBlocks ids each.
  explicit KnownBlocks(std::size_t directories);

  // Adds a directory, of which the blocks in `present` can be found.
  void add(SegmentHandle handle, std::vector<BlockId> blocks, const SegmentBlocks& present);
  // Adds one block of a segment that is still being filled; the segment counts as one directory.
  void append(SegmentHandle handle, const BlockId& block);
  std::optional<BlockPlace> find(const BlockId& block) const;

  // Calls `dropped` with the handle of each directory that was dropped since the last call.
  template <class Dropped>
  void take_dropped(Dropped dropped) {
    for (const SegmentHandle handle : dropped_) dropped(handle);
    dropped_.clear();
  }

 private:
  struct Directory {
    SegmentHandle handle;
    std::vector<BlockId> blocks;
  };
  // A table entry: 0 when free, else 1 + number of the directory × kSegmentBlocks + number of the block.
  using Slot = std::uint32_t;

  std::size_t home(const BlockId& block) const { return block.prefix() & mask_; }
  const BlockId& block_at(Slot slot) const;
  void insert(const BlockId& block, Slot slot);
  void erase(const BlockId& block, Slot slot);
  std::size_t open_directory(SegmentHandle handle);

  std::vector<Directory> directories_;
  std::size_t next_ = 0;  // the directory that is replaced next
  std::optional<std::size_t> filling_;
  std::vector<Slot> table_;
  std::size_t mask_;
  std::vector<SegmentHandle> dropped_;
};

}  // namespace ashlar
