// KnownBlocks: the block ids of the directories that an admission holds, findable by id.
//
// A bounded set of directories, the one brought in longest ago leaves first; an open-addressing table on
// eight bytes of the id points into them. An answer compares the whole id. One thread.
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
  // Room for `directories` directories of kSegmentBlocks.
  explicit KnownBlocks(std::size_t directories);

  void add(SegmentHandle handle, std::vector<BlockId> blocks);
  // One block of a segment that is still being filled; the segment counts as one directory.
  void append(SegmentHandle handle, const BlockId& block);
  std::optional<BlockPlace> find(const BlockId& block) const;

  // Calls `dropped` with each handle whose directory left since the last call.
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
  // Slot 0 is free; else 1 + slot of the directory × kSegmentBlocks + block.
  using Slot = std::uint32_t;

  std::size_t home(const BlockId& block) const { return block.prefix() & mask_; }
  const BlockId& block_at(Slot slot) const;
  void insert(const BlockId& block, Slot slot);
  void erase(const BlockId& block, Slot slot);
  std::size_t open_directory(SegmentHandle handle);

  std::vector<Directory> directories_;
  std::size_t next_ = 0;  // the directory that leaves next
  std::optional<std::size_t> filling_;
  std::vector<Slot> table_;
  std::size_t mask_;
  std::vector<SegmentHandle> dropped_;
};

}  // namespace ashlar
