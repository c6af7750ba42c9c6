// Overlay: a volume's own blocks over a base snapshot, crash-safe, at the grain of blocks.
//
// An overlay is a directory with two files: `data`, a sparse raw file in which a held block lies at its own
// offset, and `map`, which records the state of each block (docs/format/overlay_map.md). A block is
//   kAbsent  not in the overlay: the base has it (zeros past the base's end);
//   kClean   in the overlay, and equal to the base;
//   kDirty   in the overlay, written by the guest;
//   kZero    made zero by the guest: reads as zeros, and `data` is not looked at.
// A block that the overlay holds never becomes absent again.
//
// After a crash, all changes that flush() confirmed are there. A later change is old or new, each sector by
// itself; a block that was absent before its first write is wholly old until the next flush. A block that is
// reported kClean equals the base after a crash too: before the first change of a clean block of a chunk
// (1024 blocks) the map durably says that the chunk is opened for writing, and after a crash the clean blocks
// of such a chunk are dirty. The reasons: docs/decisions/overlay-in-place.md.
//
// Failures: a failed sync of `data` poisons the overlay. Every later change and flush fails with kIo, and so
// does a read of a chunk that changed since the last good sync, because that change may be lost; other reads
// go on. A failed write of `map` fails the flush and keeps all states in memory; the next flush writes a
// complete new map. A write reserves its space before it changes a byte: kExhausted means that nothing
// changed.
//
// Any thread may call any method. Writes that overlap in time and place end as if they had run one after the
// other, chunk by chunk. The overlay never asks the store. One process at a time holds `lock` in the
// directory.
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

// A run of blocks in one state.
struct HoldRun {
  BlockRange blocks;
  BlockHold hold = BlockHold::kAbsent;
  friend bool operator==(const HoldRun&, const HoldRun&) = default;
};

class Overlay;
struct OverlayState;

// The guest's changes as of one instant; the guest goes on writing. Destroying a view abandons it. It must be
// destroyed before its overlay.
class SnapshotView {
 public:
  ~SnapshotView();
  SnapshotView(const SnapshotView&) = delete;
  SnapshotView& operator=(const SnapshotView&) = delete;

  SnapshotId base() const { return base_; }
  ByteCount size() const { return size_; }
  // Returns the blocks that were kDirty or kZero at the instant, by block number.
  const std::vector<HoldRun>& changes() const { return changes_; }
  // Reads blocks of changes() as they were at the instant. `out` is whole blocks; bytes past the end of the
  // volume are zeros. Fails with kIo when the view was lost because an old block could not be kept: the guest
  // never waits for that, and its write was done.
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
  // Creates an overlay in `directory`, which exists and whose name is durable. Starts anew over the remains
  // of a create that was cut off. EEXIST when there is an overlay already.
  static Result<std::unique_ptr<Overlay>> create(FileSystem& files, const std::string& directory,
                                                 VolumeId volume, ByteCount size, SnapshotId base);
  // Opens an overlay. kNotFound when there is none, kBusy while it is open already, kCorrupt when its
  // map is damaged.
  static Result<std::unique_ptr<Overlay>> open(FileSystem& files, const std::string& directory,
                                               VolumeId volume);
  // Removes the files, and leaves the directory. Returns kBusy while a process has the overlay open.
  static Status remove(FileSystem& files, const std::string& directory);

  // Ends the overlay without a flush unless close() ran before: the files are left as after a crash.
  ~Overlay();

  SnapshotId base() const;
  ByteCount size() const;

  // Returns the states of a range within the volume, equal neighbours merged.
  std::vector<HoldRun> states(BlockRange range) const;
  // Reads a range of which the overlay holds every block; kInvalid when a block is absent.
  Status read(ByteOffset offset, MutableByteSpan out) const;

  // Writes bytes at any offset. Returns kBusy, with nothing written, when the range covers an absent block in
  // part: the caller fetches that block, calls put_clean() and tries the write a second time.
  Status write(ByteOffset offset, ByteSpan bytes);
  // Makes a range zero. With may_unmap its space is freed, else the space stays reserved.
  Status write_zeroes(ByteOffset offset, ByteCount bytes, bool may_unmap);
  // Stores verified blocks of the base as clean. A block that is not absent keeps its content, so a fetch
  // that comes late never overwrites a guest's write. `bytes` is whole blocks, or ends at the end of the
  // volume. Blocks that could not be stored stay absent, and a failure does no harm.
  Status put_clean(Lba first, ByteSpan bytes);
  // Does the same as put_clean() of zeros for blocks that are zeros in the base; takes no space.
  Status put_clean_zeroes(BlockRange range);

  // Makes every change durable whose call returned before. Calls that come during a flush share the next one.
  Status flush();
  // Ends all changes (kInvalid from then on), flushes, and notes that no chunk is open for writing.
  Status close();
  // Makes the volume larger, durably; new blocks are absent.
  Status grow(ByteCount size);
  // Punches the blocks that are kZero, and flushes: then `data` alone reads as the volume. Returns kInvalid
  // while a block is absent.
  Status settle_data();

  // Flushes, and takes one instant of several overlays. The instant keeps the order of changes across
  // overlays: when a change is in the views, so is every change (of any of them) that was answered before it
  // began. An overlay has one view at a time: kBusy while it has another one. Two calls that may run at the
  // same time name their overlays in the same order.
  static Result<std::vector<std::unique_ptr<SnapshotView>>> begin_views(
      const std::vector<Overlay*>& overlays);
  Result<std::unique_ptr<SnapshotView>> begin_view() { return std::move(TRY(begin_views({this})).front()); }
  // Ends a view that was published as `new_base`: that snapshot becomes the base, and blocks that were not
  // written since the instant become clean. In memory this happens at once; it is durable with the flush that
  // this call does, or with a later one when that flush fails. Until then a crash leaves the overlay with the
  // old base, which must still exist.
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
