// Restore: a snapshot becomes a file, a device or a stream again.
//
// The manifest is walked in windows; the data of a window is planned as one job a segment, sorted by pack and offset,
// frames coalesced into few reads; jobs run on several threads, each reads, decodes, verifies and writes by block
// address, in whatever order they finish. A stream is written in order.
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
#include "store/segments.h"

namespace ashlar {

struct RestoreParts {
  SegmentReader& segments;
  NodeReader& nodes;
  std::uint64_t region_seed;
};

struct RestoreOptions {
  bool delta = false;    // read the target, write only what differs
  bool discard = false;  // discard UNALLOCATED ranges instead of writing zeros
  unsigned threads = 0;  // 0: two a processor
};

struct RestoreProgress {
  std::atomic<std::uint64_t> total_bytes{0};
  std::atomic<std::uint64_t> done_bytes{0};
  std::atomic<std::uint64_t> written_bytes{0};
};

struct RestoreReport {
  ByteCount data_bytes;       // of DATA extents
  ByteCount written_bytes;    // written as data
  ByteCount zeroed_bytes;
  ByteCount discarded_bytes;
  ByteCount same_bytes;       // found equal by delta
  std::uint64_t pack_reads = 0;
};

// UNREADABLE ranges fail the restore (kCorrupt, the range named): they are not zeros.
Result<RestoreReport> restore(const RestoreParts& parts, const SnapshotRecord& snapshot, Target& target,
                              const RestoreOptions& options, RestoreProgress& progress, std::stop_token stop);

// Writes the volume's bytes in order to a file descriptor (a pipe).
Result<RestoreReport> restore_stream(const RestoreParts& parts, const SnapshotRecord& snapshot, int fd,
                                     RestoreProgress& progress, std::stop_token stop);

// Reads the whole target and compares it with the snapshot; the ranges that differ, merged.
Result<std::vector<BlockRange>> compare(const RestoreParts& parts, const SnapshotRecord& snapshot, Target& target,
                                        RestoreProgress& progress, std::stop_token stop);

// Opens any readable file or device for compare().
Result<std::unique_ptr<Target>> open_for_compare(const std::string& path, ByteCount size);

// The manifest root of a snapshot.
TreeRoot tree_root(const SnapshotRecord& snapshot);

}  // namespace ashlar
