// OverlayState: what an Overlay and its SnapshotView share. Internal to the overlay's sources.
//
// Order of locks: the slot of flushing_ or marking_, then map_mutex, then a stripe's mutex. flushing_ may be
// asked for inside marking_, never the other way round. A stripe's mutex is never held while waiting for
// either.
//
// A flush copies the states that changed, then syncs `data`, then appends them to the map: a state is never
// durable before the bytes that it speaks of.
#pragma once

#include <atomic>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "volume/chunk_table.h"
#include "volume/group_commit.h"
#include "volume/overlay.h"
#include "volume/overlay_map_file.h"

namespace ashlar {

// A part of a byte range that lies within one chunk.
struct ChunkPiece {
  std::uint64_t chunk = 0;
  std::uint64_t offset = 0;  // of bytes in the volume
  std::uint64_t bytes = 0;
  std::size_t first = 0;  // blocks within the chunk that it covers, at least in part
  std::size_t end = 0;

  std::uint64_t first_lba() const { return chunk * kChunkBlocks + first; }
};

// The piece that [offset, end) begins with. Not empty.
ChunkPiece first_piece(std::uint64_t offset, std::uint64_t end);

// Copies of states on their way into a transaction.
struct GatheredStates {
  std::deque<ChunkStates> copies;  // records point into it
  std::vector<OverlayRecord> records;
};

struct OverlayState {
  OverlayState(FileSystem& files_in, std::string directory_in, VolumeId volume);

  FileSystem& files;
  const std::string directory;
  std::unique_ptr<FileLock> lock;
  std::unique_ptr<RandomFile> data;
  ChunkTable table;

  std::atomic<std::uint64_t> base{0};
  std::atomic<std::uint64_t> size{0};
  std::atomic<bool> poisoned{false};
  std::atomic<bool> closed{false};
  std::atomic<bool> unsynced{false};  // `data` changed since a sync of it began
  // Periods begin with a sync. After one that failed, what changed behind `synced_period` may be lost.
  std::atomic<std::uint64_t> period{1};
  std::atomic<std::uint64_t> synced_period{0};

  std::mutex map_mutex;
  OverlayMapFile map;
  GroupCommit flushing;
  GroupCommit marking;
  std::mutex marks_mutex;
  std::vector<std::uint64_t> marks;  // chunks whose marks were asked for

  std::atomic<bool> view_taken{false};
  std::unique_ptr<RandomFile> spill;  // while a view is open: old blocks, each at its own offset
  std::atomic<bool> view_broken{false};

  Status check_range(std::uint64_t offset, std::uint64_t bytes) const;
  Status check_changeable() const;
  // kIo when bytes of the chunk may have been lost by a sync that failed.
  Status check_kept(const Stripe& stripe, std::uint64_t number) const;
  // Under the stripe's mutex, behind a change of bytes and before that of states.
  void note_changed(Chunk& chunk) {
    unsynced = true;
    chunk.changed_in = period;
  }
  std::uint64_t block_end(std::uint64_t lba) const;  // in bytes, within the volume

  // Reading (overlay.cc).
  Status read(std::uint64_t offset, MutableByteSpan out) const;
  std::vector<HoldRun> states(BlockRange range) const;

  // Changing (overlay_write.cc).
  Status write(std::uint64_t offset, ByteSpan bytes);
  Status write_zeroes(std::uint64_t offset, std::uint64_t bytes, bool may_unmap);
  Status put_clean(std::uint64_t offset, std::uint64_t bytes, const std::byte* source);
  Status edges_held(std::uint64_t offset, std::uint64_t end) const;
  Status prepare(std::uint64_t offset, std::uint64_t end, bool takes_space);
  // Locks the chunk of a piece for a change of its bytes: marked as opened where it has to be, and old blocks
  // kept for the view.
  Result<std::unique_lock<std::mutex>> enter(const ChunkPiece& piece);
  Status write_piece(const ChunkPiece& piece, ByteSpan bytes);
  Status write_edge(const ChunkPiece& piece, ByteSpan bytes);
  Status zero_piece(const ChunkPiece& piece, ZeroSpace space);
  void spoil_clean(Stripe& stripe, const ChunkPiece& piece);
  Status fill_absent(const ChunkPiece& piece, const std::byte* source);
  Status mark(const std::vector<std::uint64_t>& chunks);
  Status write_marks();

  // Making durable (overlay_flush.cc). The first three run alone in flushing's slot.
  Status sync_all(std::uint64_t volume_size, bool always);
  Status rewrite_map();
  Status punch_zeroes();
  Status punch(Stripe& stripe, std::uint64_t number, std::size_t first, std::size_t end);
  GatheredStates gather(const std::vector<std::uint64_t>& chunks);
  Status close();
  Status grow(std::uint64_t bytes);
  Status settle_data();

  // The view (overlay_view.cc).
  // Alone in flushing's slot: makes the spill.
  Status prepare_view();
  std::vector<HoldRun> view_changes();
  Status view_read(std::uint64_t lba, MutableByteSpan out);
  Status view_read_chunk(const ChunkPiece& piece, MutableByteSpan out);
  void keep_for_view(Stripe& stripe, const ChunkPiece& piece);
  Status spill_blocks(std::uint64_t first_lba, std::uint64_t count);
  void turn_clean(const std::vector<HoldRun>& changes);
  void close_view();
};

}  // namespace ashlar
