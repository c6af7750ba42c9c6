// IndexState: the state of an Index, which is the database if there is one, the rows kept in memory, and the
// repair of both. Internal to the module.
//
// Look-ups hold the lock shared; everything that changes rows or replaces the database holds it exclusively.
// A pack is read with the lock released, so an Index answers while it catches up.
//
// When the database returns kCorrupt, every call does the same: it calls heal() and answers once more.
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
  // Keeps everything in memory when `directory` is empty.
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

  // Runs `look` under the shared lock. When it meets damage, heals the index and repeats.
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

  // The functions below are called with the lock held; those that change anything need it exclusively.
  Result<std::map<std::uint64_t, SegmentId>> resolve(const std::set<std::uint64_t>& prefixes) const;
  Result<std::optional<PackRow>> known(const PackId& pack) const;
  bool writes_to_disk() const { return database_ != nullptr && database_->writable(); }
  // The packs that need no ingesting, and the packs that the database or the memory has rows of.
  struct Inventory {
    std::set<PackId> ingested;
    std::set<PackId> held;
  };
  Result<Inventory> inventory() const;
  Result<std::vector<PackKey>> list_all() const;
  // Opens the database again when this process could not write to it, to get the write lock or a newer view.
  // Returns true when answers may have changed.
  bool refresh();
  // Writes the rows to the database, or to memory when the database can't take them at the moment. Returns
  // kCorrupt when the database is damaged.
  Status put(const PackRows& rows);
  Status erase(const PackId& pack);
  // Reads a pack; releases `lock`, if given, while it reads. Notes damage in damaged_ and returns no error.
  std::optional<PackRows> read(const PackKey& pack, std::unique_lock<FairSharedMutex>* lock);
  // Ingests packs that are new and forgets packs that do not exist any longer.
  Result<CatchUpReport> synchronise(std::unique_lock<FairSharedMutex>* lock);
  // Does what synchronise() does without releasing the lock, so that no look-up sees the incomplete rows.
  Result<CatchUpReport> complete();
  // Creates the database again, or opens a newer view of another process's database, and ingests what it
  // lacks. From the third attempt on it does without a database. Fails only when packs can't be listed; the
  // next call then completes the work.
  Result<CatchUpReport> heal(int attempt);

  std::optional<IndexDirectory> directory_;
  ObjectStore& objects_;
  mutable FairSharedMutex mutex_;
  std::unique_ptr<Database> database_;
  MemoryTable memory_;
  std::set<PackId> damaged_;
  std::uint64_t generation_ = 0;  // counts how often heal() replaced the database
  bool incomplete_ = false;       // rows are missing that earlier answers were based on
};

}  // namespace ashlar
