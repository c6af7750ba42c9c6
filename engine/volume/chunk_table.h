// ChunkTable: what each block of an overlay is, in memory, by chunks of 1024 blocks. Chunks that are wholly
// absent take none; others 64 bytes, and 256 more when their blocks differ.
//
// Chunks are spread over stripes. Whoever reads or changes a chunk holds its stripe's mutex; a thread holds
// one at a time, except lock_all().
#pragma once

#include <array>
#include <atomic>
#include <bitset>
#include <cstdint>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "base/quantity.h"
#include "format/overlay_map.h"

namespace ashlar {

using BlockSet = std::bitset<kChunkBlocks>;

struct Chunk {
  BlockHold constant = BlockHold::kAbsent;  // of all blocks, when there are no states
  bool changed = false;                     // since a flush last copied it; then it is in the list of changes
  bool opened = false;                      // the map says that clean blocks may be changed
  std::uint64_t changed_in = 0;  // the period between two syncs of `data` in which its bytes last changed
  std::unique_ptr<ChunkStates> states;
  std::unique_ptr<BlockSet> reserved;  // blocks that are known to have space; null: none

  BlockHold get(std::size_t block) const { return states ? states->get(block) : constant; }
  // How many blocks from `first` on, and below `end`, have its state.
  std::size_t run(std::size_t first, std::size_t end) const {
    return states ? states->run(first, end) : end - first;
  }
  bool any(std::size_t first, std::size_t end, BlockHold hold) const;
  bool has_space(std::size_t first, std::size_t end) const;
  void set_space(std::size_t first, std::size_t end, bool there);
};

// What a chunk was at the instant of a view, kept from the first change after it on.
struct ViewChunk {
  ChunkStates states;
  BlockSet touched;  // dirty and zero ones that were changed since; of the dirty ones the old bytes are in
                     // the spill
};

struct Stripe {
  mutable std::mutex mutex;
  std::unordered_map<std::uint64_t, Chunk> chunks;
  bool view_open = false;
  std::unordered_map<std::uint64_t, ViewChunk> view_chunks;

  const Chunk* find(std::uint64_t chunk) const;
  ViewChunk* view(std::uint64_t chunk);
};

class ChunkTable {
 public:
  static constexpr std::size_t kStripes = 32;

  Stripe& stripe(std::uint64_t chunk) { return stripes_[chunk % kStripes]; }
  const Stripe& stripe(std::uint64_t chunk) const { return stripes_[chunk % kStripes]; }
  std::array<Stripe, kStripes>& stripes() { return stripes_; }

  // Under the stripe's mutex: blocks [first, end) of a chunk become `hold`.
  void set(Stripe& stripe, std::uint64_t number, std::size_t first, std::size_t end, BlockHold hold);

  // While opening: takes a record as it is; counters are wrong until recount().
  void load(const OverlayRecord& record);
  void recount();

  std::uint64_t count(BlockHold hold) const { return counts_[static_cast<std::size_t>(hold)].load(); }
  // Numbers of chunks that changed since the last call, sorted.
  std::vector<std::uint64_t> take_changes();
  // Numbers of all chunks that take memory, or have a part in the open view; sorted.
  std::vector<std::uint64_t> numbers() const;
  // Waits until no thread is inside a chunk, and keeps them out.
  std::vector<std::unique_lock<std::mutex>> lock_all();

 private:
  std::array<Stripe, kStripes> stripes_;
  std::array<std::atomic<std::uint64_t>, 4> counts_{};
  std::mutex changes_mutex_;
  std::vector<std::uint64_t> changes_;
};

}  // namespace ashlar
