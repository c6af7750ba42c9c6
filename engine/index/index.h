// Index: where segments and nodes are, and which segment a block id leads to. A cache over the packs.
//
// The packs are the truth and the index is a copy of what they say, kept in RocksDB. All of it can be lost at
// any time; it is rebuilt from the packs' footers and directories. Every answer depends on the set of packs
// alone, not on the order in which packs were added and removed.
//
// clang-format off
//   family    key                        value
//   hooks     block id prefix (8 bytes)  segment id prefixes (8 bytes each)
//             Kept for block ids that end in four zero bits, and for the first block of each segment (sparse
//             indexing, Lillibridge et al., FAST'09). The smallest segment that still exists answers.
//   segments  segment id, pack id        offset, lengths
//   nodes     node id, pack id           offset, length
//             When several packs hold a segment or node, the smallest pack id answers.
//   packs     pack id                    kind, and the list of what the pack holds: the inventory
//             A pack and its rows are written in one atomic batch, so a pack that is not in the inventory was
//             not ingested.
// clang-format on
//
// The write-ahead log is off and the column families flush atomically: after a crash the index is in an older
// consistent state, and catch_up() ingests what is missing.
//
// Among several processes, the one that holds the index's lock file writes. The others open the index
// read-only and keep their own additions in memory, as the writer does while its disk is full. When a call
// finds the index damaged, it rebuilds the index and answers from the rebuilt one; callers never see the
// damage. A rebuild knows published packs only, so a pack may be added only after it was published.
//
// Threads: any number may call anything.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/id.h"
#include "base/result.h"
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
  std::uint64_t damaged_packs = 0;  // packs that the last catch_up() or rebuild() could not read whole
  bool writable = true;             // false when this process keeps its additions in memory
};

struct CatchUpReport {
  std::uint64_t packs_added = 0;
  std::uint64_t packs_gone = 0;
};

constexpr bool is_hook(const BlockId& id) { return (std::to_integer<unsigned>(id.bytes[31]) & 15U) == 0; }

class Index {
 public:
  // Opens or creates the index in the directory `path`. `objects` holds the packs and must outlive the index.
  // An index that can't be opened is removed and created again; when that fails too, everything is kept in
  // memory and stats().writable is false. The caller calls catch_up() next.
  static Result<std::unique_ptr<Index>> open(const std::string& path, ObjectStore& objects);
  // Opens an index in memory, which writes no files: for stores that are not on this host's file system.
  static Result<std::unique_ptr<Index>> open_in_memory(ObjectStore& objects);
  ~Index();
  Index(const Index&) = delete;
  Index& operator=(const Index&) = delete;

  // Ingests packs that exist and are not in the inventory, and forgets packs that do not exist any longer.
  // Idempotent. Skips damaged packs and counts them in stats(). A process that could not write tries to
  // become the writer.
  Result<CatchUpReport> catch_up();
  // Forgets everything and ingests every pack. Fails with kBusy while another process is the writer, and with
  // the file system's error when the index directory can't be written.
  Result<CatchUpReport> rebuild();

  // Returns for each block the id of a segment that may hold it, in the order of `blocks`. Only hooks and the
  // first blocks of segments have an answer, so the caller asks only for blocks that may be one of these. The
  // answer is a hint: the segment's directory says whether the block is there.
  Result<std::vector<std::optional<SegmentId>>> find_hooks(std::span<const BlockId> blocks) const;
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
  // only costs time, so a full disk is not an error.
  Status flush();
  Result<IndexStats> stats() const;

 private:
  struct State;
  explicit Index(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace ashlar
