// Capture: turns a source into a snapshot. The flow has one direction; (N) and (1) are numbers of threads:
//
// clang-format off
//  plan ─ runs ─▶ hash (N) ─▶ assemble (1, in order) ─┬─ leaves ─▶ manifest builder ─────────┐
//                                                     └─ new blocks ─▶ encode (N) ─▶ append ─┴─▶ commit
// clang-format on
//
// The snapshot does not depend on the number of threads. Until its record is published, readers see no part
// of it. Blocks that an interrupted capture stored remain, and a later capture finds them.
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

// The ranges that are reported as changed since the parent. The map is a hint: it is used when its token
// equals the one in the parent's record, and audited by reading a sample of the other ranges, which rotates
// from capture to capture.
struct ChangedMap {
  std::vector<SourceExtent> changed;  // sorted, in any state; ranges past the end of the source are cut
  std::string since_token;  // must equal the parent's change_token, and must not be empty unless is_exact
  bool is_exact = false;    // kept by the volume itself: believed without token and audit
};

struct CaptureOptions {
  SnapshotId id;  // id of the new snapshot; value 0 stands for a random one
  std::optional<SnapshotRecord> parent;
  bool parent_is_guessed = false;  // a parent that can't be read is left aside, with a warning
  std::optional<ChangedMap> changed;
  bool paranoid = false;         // hash every block, trust no region hash and no changed-block map
  bool skip_unreadable = false;  // record bad sectors as UNREADABLE instead of failing
  Consistency consistency = Consistency::kQuiescent;
  std::string name;
  std::string description;
  std::string change_token;  // recorded, so that the next capture's map can refer to it
  std::map<std::string, std::string> tags;
  unsigned threads = 0;  // 0: one per processor
};

// Counters that another thread reads while a capture runs.
struct CaptureProgress {
  std::atomic<std::uint64_t> total_bytes{0};  // size of the source; 0: unknown (a stream)
  // Bytes of the source that are done, including holes and kept parts.
  std::atomic<std::uint64_t> done_bytes{0};
  std::atomic<std::uint64_t> read_bytes{0};
  std::atomic<std::uint64_t> new_bytes{0};     // bytes of blocks that were not in the store
  std::atomic<std::uint64_t> stored_bytes{0};  // bytes written to packs
};

struct CaptureReport {
  SnapshotRecord record;
  SessionId session;  // names the packs that were written
  ByteCount read_bytes;
  ByteCount unchanged_bytes;  // equal to the parent's, by region hash or by block mark
  ByteCount marked_bytes;     // of blocks whose SHA-256 was computed
  ByteCount duplicate_bytes;  // hashed, and found in the store
  std::uint64_t nodes_written = 0;
  std::uint64_t node_bytes_written = 0;
  std::uint64_t directories_read = 0;
  std::vector<BlockRange> unreadable;
  // Lines for the user: a map that was not used, an audit that found a change, lost data of the parent.
  std::vector<std::string> warnings;
};

// Returns the digest under which a source is remembered; zero for a source without an identity.
SourceIdentity identity_of(const Source& source);

// Publishes a snapshot of `source`. On any error, or when stopped (kCancelled), no snapshot is published.
Result<CaptureReport> capture(const WriteParts& parts, Source& source, const CaptureOptions& options,
                              CaptureProgress& progress, const std::stop_token& stop);

}  // namespace ashlar
