// OverlayState: the state that an Overlay and its SnapshotView share. Internal to the overlay's sources.
// Internal to the module.
//
// Order of locks: the slot of `flushing` or `marking`, then map_mutex, then a stripe's mutex. A thread inside
// `marking` may ask for `flushing`, never the other way round. A stripe's mutex is never held while waiting
// for either.
//
// A flush copies the states that changed, then syncs `data`, then appends the copies to the map: a state is
// never durable before the bytes that it speaks of.
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
  std::uint64_t offset = 0;  // of the first byte, in the volume
  std::uint64_t bytes = 0;
  std::size_t first = 0;  // blocks within the chunk that it covers, at least in part
  std::size_t end = 0;

  std::uint64_t first_lba() const { return chunk * kChunkBlocks + first; }
};

// Returns the piece at the start of [offset, end), which is not empty.
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
  std::atomic<int> poison_errno{0};  // the error of the sync that poisoned the overlay; set before `poisoned`
  std::atomic<bool> closed{false};
  std::atomic<bool> unsynced{false};  // `data` changed since its last sync began
  // A sync ends one period and begins the next. After a failed sync, changes of periods after `synced_period`
  // may be lost.
  std::atomic<std::uint64_t> period{1};
  std::atomic<std::uint64_t> synced_period{0};

  std::mutex map_mutex;
  OverlayMapFile map;
  GroupCommit flushing;
  GroupCommit marking;
  std::mutex marks_mutex;
  std::vector<std::uint64_t> marks;  // chunks whose marks were requested

  std::atomic<bool> view_taken{false};
  std::unique_ptr<RandomFile> spill;  // exists while a view is open: old blocks, each at its own offset
  std::atomic<bool> view_broken{false};

  Status check_range(std::uint64_t offset, std::uint64_t bytes) const;
  Status check_changeable() const;
  // Fails with kIo when a failed sync may have lost bytes of the chunk.
  Status check_kept(const Stripe& stripe, std::uint64_t number) const;
  // Records that bytes of a chunk changed. Called under the stripe's mutex, after the bytes changed and
  // before their states do.
  void note_changed(Chunk& chunk) {
    unsynced = true;
    chunk.changed_in = period;
  }
  // Returns where a block ends, in bytes, at most the volume's size.
  std::uint64_t block_end(std::uint64_t lba) const;

  // Reading (overlay.cc).
  Status read(std::uint64_t offset, MutableByteSpan out) const;
  std::vector<HoldRun> states(BlockRange range) const;

  // Changing (overlay_write.cc).
  Status write(std::uint64_t offset, ByteSpan bytes);
  Status write_zeroes(std::uint64_t offset, std::uint64_t bytes, bool may_unmap);
  Status put_clean(std::uint64_t offset, std::uint64_t bytes, const std::byte* source);
  Status edges_held(std::uint64_t offset, std::uint64_t end) const;
  Status prepare(std::uint64_t offset, std::uint64_t end, bool takes_space);
  // Locks the chunk of a piece for a change of its bytes. Before that it marks the chunk as opened if it has
  // to be, and keeps the old blocks for the view.
  Result<std::unique_lock<std::mutex>> enter(const ChunkPiece& piece);
  Status write_piece(const ChunkPiece& piece, ByteSpan bytes);
  Status write_edge(const ChunkPiece& piece, ByteSpan bytes);
  Status zero_piece(const ChunkPiece& piece, ZeroSpace space);
  void spoil_clean(Stripe& stripe, const ChunkPiece& piece);
  Status fill_absent(const ChunkPiece& piece, const std::byte* source);
  Status mark(const std::vector<std::uint64_t>& chunks);
  Status write_marks();

  // Making durable (overlay_flush.cc). The first three run alone in the slot of `flushing`.
  Status sync_all(std::uint64_t volume_size, bool always);
  Status rewrite_map();
  Status punch_zeroes();
  Status punch(Stripe& stripe, std::uint64_t number, std::size_t first, std::size_t end);
  GatheredStates gather(const std::vector<std::uint64_t>& chunks);
  Status close();
  Status grow(std::uint64_t bytes);
  Status settle_data();

  // The view (overlay_view.cc).
  // prepare_view() runs alone in the slot of `flushing` and makes the spill.
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
