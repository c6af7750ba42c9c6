// Restore: a snapshot becomes a file, a device or a stream again.
//
// The manifest is walked in windows. The data of a window is planned as one job a segment, in the order of
// packs and offsets, its frames coalesced into few reads; the jobs run on several threads, each reads,
// decodes, verifies and writes by block address, in whatever order they finish. A stream is written in order.
//
// UNREADABLE ranges are lost, and not zeros: a restore writes everything else, leaves what the target holds
// there, and then fails (kCorrupt, the ranges named). A new file keeps its partial name, with holes there. A
// stream ends at the first of them.
#pragma once

#include <atomic>
#include <cstdint>
#include <stop_token>
#include <vector>

#include "base/quantity.h"
#include "base/result.h"
#include "format/snapshot_record.h"
#include "manifest/tree.h"
#include "restore/target.h"
#include "store/meta_store.h"
#include "store/parts.h"
#include "store/segments.h"

namespace ashlar {

struct RestoreOptions {
  bool delta = false;    // read the target, write only blocks that differ
  bool discard = false;  // discard UNALLOCATED ranges instead of writing zeros
  unsigned threads = 0;  // 0: two a processor
};

// Read by another thread while a restore or a comparison runs.
struct RestoreProgress {
  std::atomic<std::uint64_t> total_bytes{0};
  std::atomic<std::uint64_t> done_bytes{0};
  std::atomic<std::uint64_t> written_bytes{0};
};

struct RestoreReport {
  ByteCount data_bytes;     // of DATA extents
  ByteCount written_bytes;  // written as data
  ByteCount zeroed_bytes;
  ByteCount discarded_bytes;
  ByteCount same_bytes;  // data found in place by delta
  std::uint64_t segment_reads = 0;
};

// Ends with everything durable (Target::finish; Target::sync when something is lost).
Result<RestoreReport> restore(const ReadParts& parts, const SnapshotRecord& snapshot, Target& target,
                              const RestoreOptions& options, RestoreProgress& progress,
                              const std::stop_token& stop);

// Writes the volume's bytes in order to a file descriptor, such as a pipe.
Result<RestoreReport> restore_stream(const ReadParts& parts, const SnapshotRecord& snapshot, int fd,
                                     RestoreProgress& progress, const std::stop_token& stop);

// Reads what the snapshot covers of the target and compares its block ids; the ranges that differ, merged.
// Not read are holes of a file, where they can be trusted (BlockDevice::next_data), against whole leaves that
// are zeros in the snapshot. Blocks that the snapshot lost (UNREADABLE) count as different.
Result<std::vector<BlockRange>> compare(const ReadParts& parts, const SnapshotRecord& snapshot,
                                        const Target& target, RestoreProgress& progress,
                                        const std::stop_token& stop);

// The manifest of a snapshot.
TreeRoot tree_root(const SnapshotRecord& snapshot);

}  // namespace ashlar
