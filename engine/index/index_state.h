// What stands behind an Index: the database if there is one, the rows in memory beside it, and the healing of
// both.
//
// Look-ups run under a shared lock, everything that changes rows or replaces the database under the exclusive
// one. A pack is read outside the lock, so an Index answers while it catches up.
//
// kCorrupt from the database means one thing everywhere: heal(), then answer again.
#pragma once

#include <mutex>
#include <optional>
#include <set>
#include <shared_mutex>
#include <utility>

#include "index/fair_mutex.h"
#include "index/index_directory.h"
#include "index/memory_table.h"

namespace ashlar {

class IndexState {
 public:
  // Without a directory everything stays in memory.
  IndexState(std::optional<IndexDirectory> directory, ObjectStore& objects);

  Result<CatchUpReport> catch_up();
  Result<CatchUpReport> rebuild();
  Status add(const PackRows& rows);
  Status forget(const PackId& pack);
  Status flush();

  Result<std::vector<std::optional<SegmentId>>> find_hooks(std::span<const BlockId> blocks);
  Result<std::optional<SegmentPlace>> find_segment(const SegmentId& id);
  Result<std::optional<NodePlace>> find_node(const NodeId& id);
  Result<std::optional<PackRow>> find_pack(const PackId& pack);
  Result<IndexStats> stats();

 private:
  using PackKey = std::pair<PackId, PackKind>;

  // Runs `look` under the shared lock; on damage heals and runs it again.
  template <class Look>
  auto answer(Look look) -> decltype(look()) {
    for (int attempt = 0;; ++attempt) {
      std::uint64_t generation = 0;
      {
        const std::shared_lock lock(mutex_);
        generation = generation_;
        if (!incomplete_) {
          auto result = look();
          if (result.ok() || result.error().code() != ErrorCode::kCorrupt) return result;
        }
      }
      const std::unique_lock lock(mutex_);
      if (incomplete_) {
        TRY(complete());
      } else if (generation_ == generation) {
        TRY(heal(attempt));
      }
    }
  }

  // Those below are called under a lock; those that change anything, under the exclusive one.
  Result<std::map<std::uint64_t, SegmentId>> resolve(const std::set<std::uint64_t>& prefixes) const;
  Result<std::optional<PackRow>> known(const PackId& pack) const;
  bool writes_to_disk() const { return database_ != nullptr && database_->writable(); }
  // Packs that need no ingesting, and packs that there is something to forget of.
  struct Inventory {
    std::set<PackId> ingested;
    std::set<PackId> held;
  };
  Result<Inventory> inventory() const;
  Result<std::vector<PackKey>> list_all() const;
  // Gets the write lock or a newer view when this process has had neither. True when answers may have
  // changed.
  bool refresh();
  // To the database, or beside it when it can't take the rows now. kCorrupt when it is damaged.
  Status put(const PackRows& rows);
  Status erase(const PackId& pack);
  // Reads a pack while `lock`, if given, is released; damage is noted, not returned.
  std::optional<PackRows> read(const PackKey& pack, std::unique_lock<FairSharedMutex>* lock);
  // Ingests packs that are new and forgets those that are gone.
  Result<CatchUpReport> synchronise(std::unique_lock<FairSharedMutex>* lock);
  // The same before anybody may look again.
  Result<CatchUpReport> complete();
  // Makes the database anew, or opens a newer view of another process's, and ingests what it lacks. From the
  // third attempt on without a database. Fails only when packs can't be listed, and the next call completes
  // it.
  Result<CatchUpReport> heal(int attempt);

  std::optional<IndexDirectory> directory_;
  ObjectStore& objects_;
  mutable FairSharedMutex mutex_;
  std::unique_ptr<Database> database_;
  MemoryTable memory_;
  std::set<PackId> damaged_;
  std::uint64_t generation_ = 0;  // of the database: how often heal() replaced it
  bool incomplete_ = false;       // rows of packs are missing that were answered before
};

}  // namespace ashlar
