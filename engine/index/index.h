// Index: where segments and nodes are, and which segment a block id leads to. A cache over the packs.
//
// The packs are the truth and the index is a copy of what they say, kept in RocksDB. All of it can be lost at
// any time; it is rebuilt from the packs' footers and directories. Every answer depends on the set of packs
// alone, not on the order in which packs were added and removed.
//
// clang-format off
//   family    key                        value
//   hooks     block id prefix (8 bytes)  segment id prefixes (8 bytes each)
//             Kept for hooks, which are 1 of N block ids by value, and for the first block of each segment
//             (sparse indexing, Lillibridge et al., FAST'09). The smallest segment that still exists answers.
//   segments  segment id, pack id        offset, lengths
//   nodes     node id, pack id           offset, length
//             Several packs may hold a segment or node: readers try its places in the order of pack ids.
//   packs     pack id                    kind, and the list of what the pack holds: the inventory
//             A pack and its rows are written in one atomic batch, so a pack that is not in the inventory was
//             not ingested.
// clang-format on
//
// The write-ahead log is off and the column families flush atomically: after a crash the index is in an older
// consistent state, and catch_up() ingests what is missing.
//
// A process keeps what it adds in memory and writes it in batches: kBatchRows rows, or what there is at
// flush() and at the end of catch_up(). It holds the index's lock file while it writes a batch, so another
// process waits for one batch at most; look-ups never wait. While the disk is full, the rows stay in memory.
//
// When a call finds the index damaged, it rebuilds the index and answers from the rebuilt one; callers never
// see the damage. A rebuild knows published packs only, so a pack may be added only after it was published.
// Other errors of the index's files (too many open files, a disk that fails) say nothing about the rows: they
// change no file, and are the errors of the call or make it work in memory.
//
// Threads: any number may call anything.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/id.h"
#include "base/result.h"
#include "format/hook_rate.h"
#include "format/pack_format.h"
#include "io/file_system.h"
#include "io/object_store.h"

namespace ashlar {

// The place of a segment in a data pack.
struct SegmentPlace {
  PackId pack;
  SegmentEntry entry;
  friend bool operator==(const SegmentPlace&, const SegmentPlace&) = default;
};

// The place of a node in a meta pack.
struct NodePlace {
  PackId pack;
  NodeEntry entry;
  friend bool operator==(const NodePlace&, const NodePlace&) = default;
};

// A segment of a data pack as the index learns of it: its footer entry, and the block ids in its directory.
struct PackedSegment {
  SegmentEntry entry;
  std::vector<BlockId> blocks;
};

struct IndexStats {
  std::uint64_t data_packs = 0;
  std::uint64_t meta_packs = 0;
  std::uint64_t segments = 0;
  std::uint64_t nodes = 0;
  std::uint64_t hooks = 0;       // an estimate by RocksDB
  std::uint64_t blocks = 0;      // blocks stored in data packs
  std::uint64_t data_bytes = 0;  // directories and payloads in data packs
  std::uint64_t node_bytes = 0;
  std::uint64_t disk_bytes = 0;     // size of the index itself
  std::uint64_t damaged_packs = 0;  // packs that the last catch_up() or rebuild() found damaged
  std::uint64_t unread_packs = 0;   // packs that it could not read just then
  bool writable = true;             // false when the last batch could not be written
};

// For so long, an id that a catch-up did not bring is not looked for by another one.
inline constexpr std::chrono::seconds kLookAgainPause{1};

struct CatchUpReport {
  std::uint64_t packs_added = 0;
  std::uint64_t packs_gone = 0;
};

// The rate of hooks: of so many block ids one is a hook, by its value. A power of two.

constexpr bool is_hook(const BlockId& id, std::uint32_t rate) {
  return (std::to_integer<std::uint32_t>(id.bytes[31]) & (rate - 1)) == 0;
}

class Index {
 public:
  // Opens the index in the directory `path`, which the first batch creates. `objects` holds the packs and
  // must outlive the index. An index that can't be opened is in memory until it can. An index that was made
  // with another rate of hooks is made anew. The caller calls catch_up() next.
  static Result<std::unique_ptr<Index>> open(const std::string& path, ObjectStore& objects,
                                             std::uint32_t hook_rate = kDefaultHookRate);
  // Opens an index in memory, which writes no files: for stores that are not on this host's file system.
  static Result<std::unique_ptr<Index>> open_in_memory(ObjectStore& objects,
                                                       std::uint32_t hook_rate = kDefaultHookRate);
  // Writes what is left, unless another process is writing.
  ~Index();
  Index(const Index&) = delete;
  Index& operator=(const Index&) = delete;

  std::uint32_t hook_rate() const;

  // Ingests packs that exist and are not in the inventory, and forgets packs that do not exist any longer: a
  // pack that a list lacks is looked for by its own key first. Idempotent. Skips packs that are damaged or
  // can't be read just now, and counts them in stats().
  Result<CatchUpReport> catch_up();
  // Catches up for a reader that does not find a segment or node which must be in the store. Does nothing
  // when a catch-up has begun and ended since the call, or within kLookAgainPause for the same id.
  Status look_again(const SegmentId& id);
  Status look_again(const NodeId& id);
  // Returns the error for something that no pack is known to hold: kCorrupt, but kIo when it may be in a pack
  // that could not be read.
  Error missing(std::string text) const;
  // Forgets everything and ingests every pack. Fails with the file system's error when the index directory
  // can't be written, and with kBusy when another process writes for longer than a batch takes.
  Result<CatchUpReport> rebuild();

  // Returns for each block the id of a segment that may hold it, in the order of `blocks`. Only hooks and the
  // first blocks of segments have an answer, so the caller asks only for blocks that may be one of these. The
  // answer is a hint: the segment's directory says whether the block is there.
  Result<std::vector<std::optional<SegmentId>>> find_hooks(std::span<const BlockId> blocks) const;
  // Return the places in all packs, in the order of pack ids.
  Result<std::vector<SegmentPlace>> segment_places(const SegmentId& id) const;
  Result<std::vector<NodePlace>> node_places(const NodeId& id) const;
  // Return the first place.
  Result<std::optional<SegmentPlace>> find_segment(const SegmentId& id) const;
  Result<std::optional<NodePlace>> find_node(const NodeId& id) const;
  // Returns the segments of a data pack in the order of their offsets; an empty list for an unknown pack.
  Result<std::vector<SegmentEntry>> pack_segments(const PackId& pack) const;
  // Returns whether the inventory holds this data or meta pack.
  Result<bool> has_pack(const PackId& pack) const;

  Status add_data_pack(const PackId& pack, std::span<const PackedSegment> segments);
  Status add_meta_pack(const PackId& pack, std::span<const NodeEntry> nodes);
  Status forget_pack(const PackId& pack);

  // Writes what was added to the disk of the index; called at the end of an operation. Losing the additions
  // only costs time, so a full disk, or a process that writes for long, is not an error.
  Status flush();
  Result<IndexStats> stats() const;

 private:
  struct State;
  explicit Index(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace ashlar
