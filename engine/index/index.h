// Index: where segments and nodes are, and which segment a block id leads to. A cache over the packs.
//
// RocksDB remembers; the packs are the truth. Everything here can be lost at any time and is rebuilt from the packs'
// footers and directories, giving the same answers whatever the order in which packs are met:
//   hooks     block id prefix (8 bytes)  -> segment id prefix (8 bytes); for ids with four low bits zero, and the first of
//             each segment (sparse indexing, Lillibridge et al., FAST'09). Of several, the smallest value wins.
//   segments  segment id -> pack, offset, lengths     nodes  node id -> pack, offset, length
//   packs     pack id -> kind and what it holds: the inventory. A pack is in the inventory or it was not ingested; both
//             are written in one atomic batch.
// The write-ahead log is off, the column families flush atomically: after a crash the index is an older consistent
// state, and catch_up() ingests what is missing.
//
// Of several processes the one that gets RocksDB's lock writes; the others open read-only and keep their own additions
// in memory. A corruption met by any call rebuilds the index and answers from the rebuilt one; callers never see it.
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
  std::uint64_t hooks = 0;      // estimated by RocksDB
  std::uint64_t blocks = 0;     // stored in data packs
  std::uint64_t data_bytes = 0; // of data packs: directories and payloads
  std::uint64_t node_bytes = 0;
  std::uint64_t disk_bytes = 0; // of the index itself
  bool writable = true;
};

struct CatchUpReport {
  std::uint64_t packs_added = 0;
  std::uint64_t packs_gone = 0;
};

constexpr bool is_hook(const BlockId& id) { return (std::to_integer<unsigned>(id.bytes[31]) & 15U) == 0; }

class Index {
 public:
  // Opens or creates the index in the directory `path`; `objects` holds the packs and outlives it. An index that can't
  // be opened is removed and made anew. The caller then calls catch_up().
  static Result<std::unique_ptr<Index>> open(const std::string& path, ObjectStore& objects);
  ~Index();
  Index(const Index&) = delete;
  Index& operator=(const Index&) = delete;

  // Ingests packs that exist and are not in the inventory, and forgets those that are gone. Idempotent.
  Result<CatchUpReport> catch_up();
  // Forgets everything and ingests every pack.
  Result<CatchUpReport> rebuild();

  // One answer a block: ids of segments that may hold it. A hint: the caller reads the directory to know.
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

  // Pushes what was added to the disk of the index. Called at the end of an operation; losing it costs time only.
  Status flush();
  Result<IndexStats> stats() const;

 private:
  struct State;
  explicit Index(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace ashlar
