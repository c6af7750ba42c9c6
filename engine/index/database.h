// Database: the rows of the index in RocksDB's column families. It knows rows only, neither packs nor
// healing. Internal to the module.
//
// Memory is bounded: one cache of kCacheBytes holds data blocks, filters and indexes, and the write buffers
// are charged to it. RocksDB writes no LOG file (it aborts the process when the LOG meets a full disk), and a
// write syncs nothing: flush() makes what was added durable, atomically over all column families.
//
// Errors: kCorrupt when the database is damaged, lacks a file or has another format, which means "make it
// anew"; kExhausted when the disk is full or memory is short; kBusy and kIo for other errors of the system,
// such as too many open files, which say nothing about the rows. Any number of threads may call anything.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "index/index_rows.h"

namespace ashlar {

inline constexpr std::size_t kCacheBytes = std::size_t{64} << 20U;
inline constexpr std::size_t kWriteBufferBytes = std::size_t{24} << 20U;
inline constexpr std::chrono::seconds kSettleTime{10};

class Database {
 public:
  enum class Mode : unsigned char {
    kWrite,  // for reading and writing; the database is created when it is missing
    kRead,   // the state at the time of opening, while another process may write
  };
  // `format` is written to a new database. Returns kCorrupt for a database of another format.
  static Result<std::unique_ptr<Database>> open(const std::string& path, Mode mode, std::string_view format);
  ~Database();
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;

  // Returns a random text that each new database gets: two views with one identity are of one database, and
  // the later one lacks only rows of packs that were forgotten.
  const std::string& identity() const;

  Status add(const PackRows& rows);
  Status forget(const PackId& pack, const PackRow& row);
  Status flush();
  // Waits, at most kSettleTime, while compactions have many new files to join. A writer that is closed before
  // ends the compaction without effect.
  void settle() const;

  // Returns the segment prefixes of each hook, ascending.
  Result<std::vector<std::vector<std::uint64_t>>> find_hooks(std::span<const std::uint64_t> blocks) const;
  // Returns for each prefix the smallest segment id that has a place in a pack that is not masked.
  Result<std::map<std::uint64_t, SegmentId>> resolve(const std::set<std::uint64_t>& prefixes,
                                                     const std::set<PackId>& masked) const;
  // Returns the places in packs that are not masked, in the order of pack ids.
  Result<std::vector<SegmentPlace>> segment_places(const SegmentId& id, const std::set<PackId>& masked) const;
  Result<std::vector<NodePlace>> node_places(const NodeId& id, const std::set<PackId>& masked) const;
  Result<std::optional<PackRow>> find_pack(const PackId& pack) const;
  Status each_pack(const std::function<void(const PackId&, const PackRow&)>& visit) const;
  // Returns the packs, ascending by id. Reads 17 bytes of each, however much it holds.
  Result<std::vector<InventoryEntry>> inventory() const;
  std::uint64_t estimated_hooks() const;

 private:
  struct State;
  explicit Database(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace ashlar
