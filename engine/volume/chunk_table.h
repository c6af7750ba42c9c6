// ChunkTable: the state of each block of an overlay, in memory, by chunks of 1024 blocks. A chunk that is
// wholly absent takes no memory; another takes 64 bytes, and 256 more when its blocks differ.
// Internal to the module.
//
// Chunks are spread over stripes. A thread that reads or changes a chunk holds the mutex of its stripe, and
// holds one such mutex at a time; only lock_all() takes all of them.
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
  BlockHold constant = BlockHold::kAbsent;  // state of all blocks when `states` is null
  bool changed = false;                     // since a flush last copied it; it is in the list of changes then
  bool opened = false;                      // the map says that clean blocks may be changed
  std::uint64_t changed_in = 0;  // the period between two syncs of `data` in which its bytes last changed
  std::unique_ptr<ChunkStates> states;
  std::unique_ptr<BlockSet> reserved;  // blocks that are known to have space; null when there are none

  BlockHold get(std::size_t block) const { return states ? states->get(block) : constant; }
  // Returns how many blocks from `first` on, and below `end`, have the state of block `first`.
  std::size_t run(std::size_t first, std::size_t end) const {
    return states ? states->run(first, end) : end - first;
  }
  bool any(std::size_t first, std::size_t end, BlockHold hold) const;
  bool has_space(std::size_t first, std::size_t end) const;
  void set_space(std::size_t first, std::size_t end, bool there);
};

// The states of a chunk at the instant of a view, kept from the first change after that instant on.
struct ViewChunk {
  ChunkStates states;
  BlockSet
      touched;  // dirty and zero blocks that changed since; the spill has the old bytes of the dirty ones
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

  // Sets blocks [first, end) of a chunk to `hold`. The caller holds the stripe's mutex.
  void set(Stripe& stripe, std::uint64_t number, std::size_t first, std::size_t end, BlockHold hold);

  // Takes a record over while the overlay is opened; the counters are wrong until recount().
  void load(const OverlayRecord& record);
  void recount();

  std::uint64_t count(BlockHold hold) const { return counts_[static_cast<std::size_t>(hold)].load(); }
  // Returns the numbers of the chunks that changed since the last call, sorted.
  std::vector<std::uint64_t> take_changes();
  // Returns the numbers of all chunks that take memory or have a part in the open view, sorted.
  std::vector<std::uint64_t> numbers() const;
  // Waits until no thread is inside a chunk, and keeps all threads out while the locks are held.
  std::vector<std::unique_lock<std::mutex>> lock_all();

 private:
  std::array<Stripe, kStripes> stripes_;
  std::array<std::atomic<std::uint64_t>, 4> counts_{};
  std::mutex changes_mutex_;
  std::vector<std::uint64_t> changes_;
};

}  // namespace ashlar
