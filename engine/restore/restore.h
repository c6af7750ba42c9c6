// Restore: turns a snapshot into a file, a device or a stream again.
//
// The manifest is walked in windows. The data of a window is planned as one job per segment, in the order of
// packs and offsets, and adjacent frames are joined into few reads. The jobs run on several threads; each job
// reads, decodes, verifies and writes by block address, and they may finish in any order. A stream is written
// in order.
//
// UNREADABLE ranges are lost; they are not zeros. A restore writes everything else, leaves the target's
// contents in these ranges, and then fails with kCorrupt and names the ranges. A new file keeps its partial
// name and has holes there. A stream ends at the first of them. Other bytes that the store can't give end the
// restore at once.
//
// With `skip_damaged` a restore to a target leaves out all of these and succeeds: the report names exactly
// the blocks that were left out. A frame that can't be read costs its blocks, a leaf or an inner node all
// that it covers. Errors that are no loss (left_out.h) still end it.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <stop_token>
#include <vector>

#include "base/quantity.h"
#include "base/result.h"
#include "format/snapshot_record.h"
#include "manifest/tree.h"
#include "restore/left_out.h"
#include "restore/target.h"
#include "store/meta_store.h"
#include "store/parts.h"
#include "store/segments.h"

namespace ashlar {

struct RestoreOptions {
  bool delta = false;    // read the target and write only blocks that differ
  bool discard = false;  // discard UNALLOCATED ranges instead of writing zeros
  unsigned threads = 0;  // 0: two per processor
  bool skip_damaged = false;
  // Asked before a restore that left something out succeeds: fails when the snapshot, or its store, is gone.
  // May be empty.
  std::function<Status()> check_losses;
};

// Counters that another thread reads while a restore or a comparison runs.
struct RestoreProgress {
  std::atomic<std::uint64_t> total_bytes{0};
  std::atomic<std::uint64_t> done_bytes{0};
  std::atomic<std::uint64_t> written_bytes{0};
};

struct RestoreReport {
  ByteCount data_bytes;     // size of the DATA extents
  ByteCount written_bytes;  // written as data
  ByteCount zeroed_bytes;
  ByteCount discarded_bytes;
  ByteCount same_bytes;  // data that delta found in place
  std::uint64_t segment_reads = 0;
  std::vector<LeftOut> left_out;  // ascending, joined; empty without skip_damaged
};

// Restores a snapshot. At the end everything is durable (Target::finish; Target::sync when blocks are lost).
// An error about bytes that the store can't give has the kind kSnapshotHasLosses.
Result<RestoreReport> restore(const ReadParts& parts, const SnapshotRecord& snapshot, Target& target,
                              const RestoreOptions& options, RestoreProgress& progress,
                              const std::stop_token& stop);

// Writes the volume's bytes in order to a file descriptor, such as a pipe.
Result<RestoreReport> restore_stream(const ReadParts& parts, const SnapshotRecord& snapshot, int fd,
                                     RestoreProgress& progress, const std::stop_token& stop);

// Reads the part of the target that the snapshot covers, compares its block ids, and returns the ranges that
// differ, merged. It does not read the target where the snapshot has whole leaves of zeros and the target has
// a trusted hole (BlockDevice::next_data). Blocks that the snapshot lost (UNREADABLE) count as different.
// Blocks of `left_out` are not compared, nor are nodes read that cover no others.
Result<std::vector<BlockRange>> compare(const ReadParts& parts, const SnapshotRecord& snapshot,
                                        const Target& target, RestoreProgress& progress,
                                        const std::stop_token& stop,
                                        const std::vector<LeftOut>& left_out = {});

}  // namespace ashlar
