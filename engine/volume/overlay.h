// Overlay: a volume's own blocks over a base snapshot, crash-safe, at the grain of blocks.
//
// A directory with `data`, a sparse raw file in which a held block lies at its own offset, and `map`, what
// each block is (docs/format/overlay_map.md). A block is
//   kAbsent  not here: the base has it (zeros behind the base's end);
//   kClean   here, and equal to the base;
//   kDirty   here, written by the guest;
//   kZero    made zero by the guest: reads as zeros, whatever `data` holds there.
// An absent block never comes back once the overlay holds it.
//
// What flush() confirmed is there after a crash. What was written since is old or new, sector by sector; a
// block that was absent and is written for the first time is wholly old until the next flush. A block that is
// reported kClean equals the base after a crash too: before the first change of a clean block of a chunk
// (1024 blocks) the map durably says that the chunk is opened for writing, and after a crash the clean blocks
// of such a chunk are dirty. Why it is done so: docs/decisions/overlay-in-place.md.
//
// Failures: a failed sync of `data` poisons the overlay: every later change and flush is kIo, and so is a
// read of a chunk that changed since the last good one, which may be lost; other reads go on. A failed write
// of `map` fails the flush and keeps everything in memory; the next flush writes a whole new map. A write has
// its space before it changes a byte: kExhausted means that nothing changed.
//
// Any thread may call anything; overlapping writes at the same time end as if one came after the other, chunk
// by chunk. No I/O to the store. One process at a time: `lock` in the directory is held.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/id.h"
#include "base/quantity.h"
#include "base/result.h"
#include "format/overlay_map.h"
#include "io/file_system.h"

namespace ashlar {

// A stretch of blocks of one state.
struct HoldRun {
  BlockRange blocks;
  BlockHold hold = BlockHold::kAbsent;
  friend bool operator==(const HoldRun&, const HoldRun&) = default;
};

class Overlay;
struct OverlayState;

// The guest's changes as of one instant, while it goes on writing. Destroying it abandons it. Outlives
// nothing: the overlay is destroyed after it.
class SnapshotView {
 public:
  ~SnapshotView();
  SnapshotView(const SnapshotView&) = delete;
  SnapshotView& operator=(const SnapshotView&) = delete;

  SnapshotId base() const { return base_; }
  ByteCount size() const { return size_; }
  // What was kDirty or kZero then, by block number.
  const std::vector<HoldRun>& changes() const { return changes_; }
  // Blocks of changes(), as they were. `out` is whole blocks; behind the end of the volume they are zeros.
  // kExhausted or kIo when the view was lost because an old block could not be kept (the guest never waits
  // for that, and its write was done).
  Status read(Lba first, MutableByteSpan out) const;

 private:
  friend class Overlay;
  explicit SnapshotView(std::shared_ptr<OverlayState> state) : state_(std::move(state)) {}

  std::shared_ptr<OverlayState> state_;
  SnapshotId base_;
  ByteCount size_;
  std::vector<HoldRun> changes_;
};

class Overlay {
 public:
  // `directory` is there already, and its name durable; a create that was cut off is begun anew. EEXIST when
  // there is an overlay.
  static Result<std::unique_ptr<Overlay>> create(FileSystem& files, const std::string& directory,
                                                 VolumeId volume, ByteCount size, SnapshotId base);
  // kNotFound when there is none, kBusy when somebody has it open, kCorrupt when its map can't be believed.
  static Result<std::unique_ptr<Overlay>> open(FileSystem& files, const std::string& directory,
                                               VolumeId volume);
  // Removes the files, and not the directory. kBusy when somebody has it open.
  static Status remove(FileSystem& files, const std::string& directory);

  // Without close() before: as after a crash.
  ~Overlay();

  SnapshotId base() const;
  ByteCount size() const;

  // The states of a range within the volume, merged.
  std::vector<HoldRun> states(BlockRange range) const;
  // A range of which the overlay holds every block.
  Status read(ByteOffset offset, MutableByteSpan out) const;

  // kBusy, and nothing written, when an absent block is covered in part: the caller fetches it, calls
  // put_clean() and comes again.
  Status write(ByteOffset offset, ByteSpan bytes);
  // With may_unmap the space is given back, else it stays reserved.
  Status write_zeroes(ByteOffset offset, ByteCount bytes, bool may_unmap);
  // Blocks of the base, verified. Those that are not absent any more keep what they have. `bytes` is whole
  // blocks, or ends at the end of the volume. A failure keeps nothing, and harms nothing.
  Status put_clean(Lba first, ByteSpan bytes);
  // Blocks that are zeros in the base: the same as put_clean() of zeros, and takes no space.
  Status put_clean_zeroes(BlockRange range);

  // Everything whose call returned before is durable. Calls that come while one runs share the next.
  Status flush();
  // Ends all changes (kInvalid from then on), flushes, and notes that no chunk is open for writing.
  Status close();
  // Makes the volume larger, durably; new blocks are absent.
  Status grow(ByteCount size);
  // Punches what is kZero, and flushes: then `data` by itself reads as the volume. kInvalid while a block is
  // absent.
  Status settle_data();

  // Flushes, and takes one instant of several overlays: a change that was answered before another one began,
  // of whichever of them, is in the views if that other one is. One view of an overlay at a time: kBusy. Two
  // calls that meet name their overlays in the same order.
  static Result<std::vector<std::unique_ptr<SnapshotView>>> begin_views(
      const std::vector<Overlay*>& overlays);
  Result<std::unique_ptr<SnapshotView>> begin_view() { return std::move(TRY(begin_views({this})).front()); }
  // The view is published as `new_base`: that becomes the base, and what was not written since the instant
  // becomes clean. At once in memory, durable with the flush that this is; when that fails, with a later one,
  // and until then a crash leaves the overlay with the old base, which must still be there.
  Status end_view(std::unique_ptr<SnapshotView> view, SnapshotId new_base);

  struct Counters {
    BlockCount clean;
    BlockCount dirty;
    BlockCount zero;
  };
  Counters counters() const;

 private:
  explicit Overlay(std::shared_ptr<OverlayState> state) : state_(std::move(state)) {}
  std::shared_ptr<OverlayState> state_;
};

}  // namespace ashlar
