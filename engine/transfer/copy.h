// Copy: snapshots of one store become snapshots of another one. Only segments and nodes that the other store
// does not have cross, as they are stored: every frame is decoded and compared with its block ids on the way,
// and not compressed again.
//
// Whatever names something is published after it: segments, then the nodes over them, then the records. The
// whole tree is walked, also where the other store has its nodes: a segment that it has lost goes over again.
// A copy that was cut off leaves packs that no record names; the next one finds them and goes on behind them.
#pragma once

#include <atomic>
#include <cstdint>
#include <stop_token>
#include <vector>

#include "catalog/snapshots.h"
#include "document/store_config.h"
#include "index/index.h"
#include "store/node_store.h"
#include "store/parts.h"
#include "store/segments.h"

namespace ashlar {

// Read by another thread while a copy runs.
struct CopyProgress {
  std::atomic<std::uint64_t> total_bytes{0};  // of data in the snapshots, or in what is exported
  std::atomic<std::uint64_t> done_bytes{0};   // of that, sent or found there
  std::atomic<std::uint64_t> sent_bytes{0};   // stored bytes that crossed
};

struct CopyReport {
  std::vector<SnapshotRecord> records;  // as published, in the order of the originals
  std::uint64_t segments_sent = 0;
  std::uint64_t segment_bytes_sent = 0;  // stored
  std::uint64_t nodes_sent = 0;
  std::uint64_t node_bytes_sent = 0;
};

// `originals` are records of the source. Each copy has the id of `ids` in its place, no parent and no source
// identity (it is of another store: nothing is to be captured over it by itself), and the rest as it was.
// Durable when it returns ok. kCorrupt for what is damaged in the source: nothing that needs it is published.
Result<CopyReport> copy_snapshots(const ReadParts& source, const WriteParts& target,
                                  const std::vector<SnapshotRecord>& originals,
                                  const std::vector<SnapshotId>& ids, CopyProgress& progress,
                                  const std::stop_token& stop);

}  // namespace ashlar
