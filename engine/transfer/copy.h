// Copy: copies snapshots of one store to another one. Only segments and nodes that the other store does not
// have are sent, in the form in which they are stored: every frame is decoded and compared with its block ids
// on the way, and not compressed again. Region hashes stay in the source (transfer/outgoing_nodes.h), so the
// copy has another root with the same content digest.
//
// An object is published only after everything that it names: segments first, then the nodes over them, then
// the records. The whole tree is walked even where the other store has its nodes: a segment that it has lost
// is sent again. A copy that was interrupted leaves packs that no record names; the next copy finds them and
// continues after them.
#pragma once

#include <atomic>
#include <cstdint>
#include <stop_token>
#include <vector>

#include "base/notices.h"
#include "catalog/snapshots.h"
#include "document/store_config.h"
#include "index/index.h"
#include "store/node_store.h"
#include "store/parts.h"
#include "store/segments.h"

namespace ashlar {

// Counters that another thread reads while a copy runs.
struct CopyProgress {
  std::atomic<std::uint64_t> total_bytes{0};  // data in the snapshots, or in the exported part
  std::atomic<std::uint64_t> done_bytes{0};   // data that was sent, or found in the target
  std::atomic<std::uint64_t> sent_bytes{0};   // stored bytes that were sent
};
ProgressSample sample_of(const CopyProgress& progress);

struct CopyReport {
  std::vector<SnapshotRecord> records;  // as published, in the order of the originals
  std::uint64_t segments_sent = 0;
  std::uint64_t segment_bytes_sent = 0;  // in stored form
  std::uint64_t nodes_sent = 0;
  std::uint64_t node_bytes_sent = 0;
};

// Copies snapshots. `originals` are records of the source. Each copy has the id at its position in `ids`, a
// new creation time, and no parent, generation, change token or source identity (so that captures in the
// target never choose it as a parent by themselves); the other fields are those of the original, except for
// the root's id and the counts of new blocks. The copies are durable when it returns ok. Returns kCorrupt for
// damage in the source; no record that needs a damaged part is published.
Result<CopyReport> copy_snapshots(const ReadParts& source, const WriteParts& target,
                                  const std::vector<SnapshotRecord>& originals,
                                  const std::vector<SnapshotId>& ids, CopyProgress& progress,
                                  const std::stop_token& stop);

}  // namespace ashlar
