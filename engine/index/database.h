// The part of the index that RocksDB remembers: rows in and out of its column families, nothing about packs
// or healing.
//
// Memory is bounded: one cache of kCacheBytes holds data blocks, filters, indexes and, charged to it, the
// write buffers. Nothing is logged to the disk (RocksDB aborts the process when its LOG meets a full one),
// and nothing is synced by a write: flush() makes what was added durable, atomically over all column
// families.
//
// Errors: kExhausted when the disk is full; kBusy for a passing condition; kCorrupt for all else, which means
// "rebuild". Any number of threads.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>

#include "index/index_rows.h"

namespace ashlar {

inline constexpr std::size_t kCacheBytes = std::size_t{64} << 20U;
inline constexpr std::size_t kWriteBufferBytes = std::size_t{24} << 20U;

class Database {
 public:
  enum class Mode : unsigned char {
    kWrite,  // makes it when it is missing
    kRead,   // the state at the time of opening, beside another process that writes
  };
  // kCorrupt for a database of another format.
  static Result<std::unique_ptr<Database>> open(const std::string& path, Mode mode);
  ~Database();
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;

  bool writable() const;

  Status add(const PackRows& rows);
  Status forget(const PackId& pack, const PackRow& row);
  Status flush();
  // Whether a flush or compaction failed since opening. RocksDB then refuses writes, even for a while after a
  // full disk has been given room; opening anew does not.
  bool has_failed() const;

  // The segment prefixes of each hook, ascending.
  Result<std::vector<std::vector<std::uint64_t>>> find_hooks(std::span<const std::uint64_t> blocks) const;
  // The smallest segment id of each prefix that has a place in a pack that is not masked.
  Result<std::map<std::uint64_t, SegmentId>> resolve(const std::set<std::uint64_t>& prefixes,
                                                     const std::set<PackId>& masked) const;
  // The place in the smallest pack that is not masked.
  Result<std::optional<SegmentPlace>> find_segment(const SegmentId& id, const std::set<PackId>& masked) const;
  Result<std::optional<NodePlace>> find_node(const NodeId& id, const std::set<PackId>& masked) const;
  Result<std::optional<PackRow>> find_pack(const PackId& pack) const;
  Status each_pack(const std::function<void(const PackId&, const PackRow&)>& visit) const;
  // Pack ids alone.
  Result<std::set<PackId>> inventory() const;
  std::uint64_t estimated_hooks() const;

 private:
  struct State;
  explicit Database(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace ashlar
