// Capture: a source becomes a snapshot. The flow, in one direction:
//
//   plan ─ runs ─▶ hash (N threads) ─▶ assemble (1 owner, in order) ─┬─ leaves ─▶ manifest builder ─────────┐
//                                                                    └─ new blocks ─▶ encode (N) ─▶ append
//                                                                    ─┴▶ commit
//
// The snapshot does not depend on the number of threads. Until the record is published nothing is visible;
// what was stored stays, and a later capture finds it.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "base/quantity.h"
#include "base/result.h"
#include "catalog/snapshots.h"
#include "document/store_config.h"
#include "format/snapshot_record.h"
#include "index/index.h"
#include "source/source.h"
#include "store/meta_store.h"
#include "store/parts.h"
#include "store/segments.h"

namespace ashlar {

// The parts of a store that a capture works on.

// What is said to have changed since the parent. A hint: it is used when its token is the one that the
// parent's record keeps, and audited by reading a rotating sample of the rest.
struct ChangedMap {
  std::vector<SourceExtent> changed;  // sorted, any states; ranges past the end of the source are cut
  std::string since_token;            // must equal the parent's change_token; both may be empty
  bool is_exact = false;              // kept by the volume itself, not a hint: believed without an audit
};

struct CaptureOptions {
  SnapshotId id;  // of the new snapshot; value 0: a random one
  std::optional<SnapshotRecord> parent;
  std::optional<ChangedMap> changed;
  bool paranoid = false;         // hash every block, believe no region hash
  bool skip_unreadable = false;  // record bad sectors as UNREADABLE instead of failing
  Consistency consistency = Consistency::kQuiescent;
  std::string name;
  std::string description;
  std::string change_token;  // recorded for the next capture's map
  std::map<std::string, std::string> tags;
  unsigned threads = 0;  // 0: one a processor
};

// Read by another thread while a capture runs.
struct CaptureProgress {
  std::atomic<std::uint64_t> total_bytes{0};  // of the source; 0: unknown (a stream)
  std::atomic<std::uint64_t> done_bytes{0};   // of the source, holes and kept parts included
  std::atomic<std::uint64_t> read_bytes{0};
  std::atomic<std::uint64_t> new_bytes{0};     // of blocks that were not stored yet
  std::atomic<std::uint64_t> stored_bytes{0};  // written to packs
};

struct CaptureReport {
  SnapshotRecord record;
  ByteCount read_bytes;
  ByteCount unchanged_bytes;  // equal to the parent by region hash
  ByteCount duplicate_bytes;  // hashed and found in the store
  std::uint64_t nodes_written = 0;
  std::uint64_t node_bytes_written = 0;
  std::uint64_t directories_read = 0;
  std::vector<BlockRange> unreadable;
  std::vector<std::string>
      warnings;  // each a line for the user: a map that was not used, an audit that missed
};

// The digest under which a source is remembered; zero for a source without identity.
SourceIdentity identity_of(const Source& source);

// Publishes a snapshot of `source`. On any error, or when stopped (kCancelled), nothing is published.
Result<CaptureReport> capture(const WriteParts& parts, Source& source, const CaptureOptions& options,
                              CaptureProgress& progress, const std::stop_token& stop);

}  // namespace ashlar
