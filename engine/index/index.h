// Index: where segments and nodes are, and which segment a block id leads to. A cache over the packs.
//
// RocksDB remembers; the packs are the truth. Everything here can be lost at any time and is rebuilt from the
// packs' footers and directories. Every answer depends on the set of packs alone, not on the order in which
// they came and went:
//   hooks     block id prefix (8 bytes)  -> segment id prefixes (8 bytes each); for ids with four low bits
//   zero, and the
//             first of each segment (sparse indexing, Lillibridge et al., FAST'09). The smallest that exists
//             answers.
//   segments  segment id, pack id -> offset, lengths     nodes  node id, pack id -> offset, length
//             The smallest pack that holds a segment or node answers.
//   packs     pack id -> kind and what it holds: the inventory. A pack is in the inventory or it was not
//   ingested; both
//             are written in one atomic batch.
// The write-ahead log is off, the column families flush atomically: after a crash the index is an older
// consistent state, and catch_up() ingests what is missing.
//
// Of several processes the one that holds the index's lock file writes; the others open read-only and keep
// their own additions in memory, as the writer does while its disk is full. A corruption met by any call
// rebuilds the index and answers from the rebuilt one; callers never see it. So packs are added only once
// they are published.
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

// A place of a segment in a data pack.
struct SegmentPlace {
  PackId pack;
  SegmentEntry entry;
  friend bool operator==(const SegmentPlace&, const SegmentPlace&) = default;
};

// A place of a node in a meta pack.
struct NodePlace {
  PackId pack;
  NodeEntry entry;
  friend bool operator==(const NodePlace&, const NodePlace&) = default;
};

// What a data pack tells the index: its footer, and per segment the block ids of its directory.
struct PackedSegment {
  SegmentEntry entry;
  std::vector<BlockId> blocks;
};

struct IndexStats {
  std::uint64_t data_packs = 0;
  std::uint64_t meta_packs = 0;
  std::uint64_t segments = 0;
  std::uint64_t nodes = 0;
  std::uint64_t hooks = 0;       // estimated by RocksDB
  std::uint64_t blocks = 0;      // stored in data packs
  std::uint64_t data_bytes = 0;  // of data packs: directories and payloads
  std::uint64_t node_bytes = 0;
  std::uint64_t disk_bytes = 0;     // of the index itself
  std::uint64_t damaged_packs = 0;  // met by the last catch_up() or rebuild()
  bool writable = true;             // false when this process keeps its additions in memory
};

struct CatchUpReport {
  std::uint64_t packs_added = 0;
  std::uint64_t packs_gone = 0;
};

constexpr bool is_hook(const BlockId& id) { return (std::to_integer<unsigned>(id.bytes[31]) & 15U) == 0; }

class Index {
 public:
  // Opens or creates the index in the directory `path`; `objects` holds the packs and outlives it. An index
  // that can't be opened is removed and made anew; where that is impossible too, everything is kept in memory
  // (stats().writable is false). The caller then calls catch_up().
  static Result<std::unique_ptr<Index>> open(const std::string& path, ObjectStore& objects);
  // An index that leaves no trace: for stores that are not on this machine's file system.
  static Result<std::unique_ptr<Index>> open_in_memory(ObjectStore& objects);
  ~Index();
  Index(const Index&) = delete;
  Index& operator=(const Index&) = delete;

  // Ingests packs that exist and are not in the inventory, and forgets those that are gone. Idempotent.
  // Damaged packs are passed over and counted in stats(). A process that could not write tries again to
  // become the writer.
  Result<CatchUpReport> catch_up();
  // Forgets everything and ingests every pack. kBusy while another process is the writer;
  // fails, too, where its directory can't be written.
  Result<CatchUpReport> rebuild();

  // One answer a block: the id of a segment that may hold it. Only hooks and the first blocks of segments
  // have answers, so the caller asks for those that may be one. A hint: the caller reads the directory to
  // know.
  Result<std::vector<std::optional<SegmentId>>> find_hooks(std::span<const BlockId> blocks) const;
  Result<std::optional<SegmentPlace>> find_segment(const SegmentId& id) const;
  Result<std::optional<NodePlace>> find_node(const NodeId& id) const;
  // The segments of a data pack in the order of their offsets; nothing for an unknown pack.
  Result<std::vector<SegmentEntry>> pack_segments(const PackId& pack) const;
  // Whether the inventory knows this data or meta pack.
  Result<bool> has_pack(const PackId& pack) const;

  Status add_data_pack(const PackId& pack, std::span<const PackedSegment> segments);
  Status add_meta_pack(const PackId& pack, std::span<const NodeEntry> nodes);
  Status forget_pack(const PackId& pack);

  // Pushes what was added to the disk of the index. Called at the end of an operation; losing it costs time
  // only, so a full disk is no error.
  Status flush();
  Result<IndexStats> stats() const;

 private:
  struct State;
  explicit Index(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace ashlar
