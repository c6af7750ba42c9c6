// IndexState: the state of an Index, which is a view of the database if there is one, the rows kept in
// memory, and the repair of both. Internal to the module.
//
// Rows that are added go to memory. They stay in pending_ until their batch is written; then a view that
// shows them takes the place of the old one.
//
// Locks, in this order: catching_up_ (one catch-up at a time), writing_ (held by what replaces the view or
// writes a batch), mutex_. Look-ups hold mutex_ shared; what changes rows or the view holds it exclusively.
// Packs are read, and batches written, with mutex_ released, so an Index answers meanwhile.
//
// When the database returns kCorrupt, every call does the same: it calls heal() and answers once more.
#pragma once

#include <atomic>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <shared_mutex>
#include <utility>

#include "base/lru_cache.h"
#include "index/fair_mutex.h"
#include "index/index_directory.h"
#include "index/memory_table.h"

namespace ashlar {

// The rows that make a batch: hooks, segments, nodes and packs. They take some 10 MiB of memory.
inline constexpr std::size_t kBatchRows = std::size_t{1} << 16U;

class IndexState {
 public:
  // Keeps everything in memory when `directory` is empty.
  IndexState(std::optional<IndexDirectory> directory, ObjectStore& objects, std::uint32_t hook_rate);
  ~IndexState();
  IndexState(const IndexState&) = delete;
  IndexState& operator=(const IndexState&) = delete;

  std::uint32_t hook_rate() const { return hook_rate_; }
  Result<CatchUpReport> catch_up();
  Status look_again(std::uint64_t prefix);
  Error missing(std::string text) const;
  Result<CatchUpReport> rebuild();
  Status add(const PackRows& rows);
  Status forget(const PackId& pack);
  Status flush();

  Result<std::vector<std::optional<SegmentId>>> find_hooks(std::span<const BlockId> blocks);
  Result<std::vector<SegmentPlace>> segment_places(const SegmentId& id);
  Result<std::vector<NodePlace>> node_places(const NodeId& id);
  Result<std::optional<PackRow>> find_pack(const PackId& pack);
  Result<IndexStats> stats();

 private:
  // Whether packs that are gone are forgotten, or kept for when they are back.
  enum class Gone : unsigned char { kForget, kKeep };
  using PackKey = std::pair<PackId, PackKind>;
  using Lock = std::unique_lock<FairSharedMutex>;

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
      const std::lock_guard writing(writing_);
      const Lock lock(mutex_);
      if (incomplete_) {
        TRY(complete());
      } else if (generation_ == generation) {
        TRY(heal(attempt));
      }
    }
  }

  // The functions below are called with mutex_ held; those that change anything need it exclusively.
  Database* database() const { return view_.database.get(); }
  Result<std::map<std::uint64_t, SegmentId>> resolve(const std::set<std::uint64_t>& prefixes) const;
  Result<std::optional<PackRow>> known(const PackId& pack) const;
  // The packs that the database or the memory has rows of.
  struct HeldPack {
    PackId pack;
    PackKind kind = PackKind::kData;
    bool is_ingested = false;  // needs no ingesting
  };
  using Inventory = std::vector<HeldPack>;  // ascending by pack, each once
  Result<Inventory> inventory() const;
  // Returns whether a look-up finds the pack.
  Result<bool> is_known(const PackId& pack) const;
  // Returns whether the pack's rows are in the database, or will be written to it.
  Result<bool> is_kept(const PackId& pack) const;
  void put(const PackRows& rows);
  // Removes a pack from pending_ and returns its rows; null when it is not there.
  std::shared_ptr<const PackRows> take_pending(const PackId& pack);
  // Drops the rows of a pack that the database has.
  void drop_written(const PackId& pack);
  Status erase(const PackId& pack);
  IndexBatch batch() const;
  // Takes the view that shows a batch; notes a failure, which leaves the rows in memory.
  void take_written(const IndexBatch& batch, Result<IndexView> written);

  // The functions below are called with writing_ and mutex_ held exclusively.
  // Opens the newest view, if there is one. Returns whether it may lack rows that were answered before.
  bool refresh();
  // Does what synchronise() does without releasing the lock, so that no look-up sees the incomplete rows.
  Result<CatchUpReport> complete();
  // Has the damaged database made again and ingests what is missing. From the third attempt on it does
  // without a database. Fails only when packs can't be listed; the next call then completes the work.
  Result<CatchUpReport> heal(int attempt);

  // The functions below release `lock`, which holds mutex_, while they wait or read. Without a lock the
  // caller holds writing_ and mutex_, and keeps them. Ingests packs that are new.
  Result<CatchUpReport> synchronise(Lock* lock, Gone gone);
  Result<std::vector<PackKey>> list_all(Lock* lock);
  // Returns whether a pack that a list lacks does not exist. A doubt is no.
  bool is_gone(const PackId& pack, PackKind kind, Lock* lock);
  // Reads a pack. Notes what is damaged or unread and returns no error.
  std::optional<PackRows> read(const PackKey& pack, Lock* lock);
  void write_when_due(Lock* lock);

  // Writes what is pending, with writing_ and mutex_ held.
  Status write_held();
  // Writes what is pending, with no lock but catching_up_ held. Waits so long for another process.
  void write_pending(std::chrono::milliseconds wait);
  Result<CatchUpReport> catch_up(Gone gone);
  Result<CatchUpReport> bring_up_to_date(Gone gone);  // needs catching_up_

  const std::optional<IndexDirectory> directory_;
  ObjectStore& objects_;
  const std::uint32_t hook_rate_;
  std::mutex catching_up_;
  std::atomic<std::uint64_t> catch_ups_{0};  // begun
  std::mutex looked_mutex_;
  // When a catch-up was made for an id, by its prefix.
  LruCache<std::uint64_t, std::chrono::steady_clock::time_point> looked_{1024};

  std::mutex writing_;
  mutable FairSharedMutex mutex_;
  IndexView view_;
  MemoryTable memory_;
  std::map<PackId, std::shared_ptr<const PackRows>> pending_;  // part of memory_
  std::size_t pending_rows_ = 0;
  std::size_t write_at_ = kBatchRows;  // rows that are due to be written
  bool can_write_ = true;              // false after a batch could not be written
  std::set<PackId> damaged_;
  std::set<PackId> unread_;
  bool unread_by_medium_ = true;  // each pack of unread_ failed with EIO
  std::uint64_t generation_ = 0;  // counts how often the view was replaced
  bool incomplete_ = false;       // rows are missing that earlier answers were based on
};

}  // namespace ashlar
