// DamagedFrames: what the store's packs are known to hold damaged, in memory, shared by all of a process.
//
// Writers never rely on what it names, and readers try it last. It is a copy of the records of
// catalog/damage.h as refresh() found them, with what this process found itself. What a reader finds is
// recorded in the store first; where that fails, this process still knows. Any number of threads.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "catalog/damage.h"

namespace ashlar {

class DamagedFrames {
 public:
  DamagedFrames(ObjectStore& objects, const StoreId& store) : objects_(objects), catalog_(objects, store) {}
  DamagedFrames(const DamagedFrames&) = delete;
  DamagedFrames& operator=(const DamagedFrames&) = delete;

  DamageCatalog& catalog() { return catalog_; }
  // Reads all records: one list of objects, and one read for each. A record that is damaged itself, or of a
  // newer program, counts as damage of the whole pack.
  Status refresh();

  // Returns whether any pack is known to be damaged.
  bool any() const { return any_; }
  // Returns whether there is a record of the pack, also one that names nothing any more.
  bool is_known(const PackId& pack) const;
  // Returns whether anything in the pack is damaged.
  bool has_damage(const PackId& pack) const;
  // Returns whether the pack as a whole is damaged: nothing in it may be relied on.
  bool is_whole(const PackId& pack) const;
  // Returns the frames of a segment that are damaged in this pack; all of them for a damaged pack.
  FrameSet damaged(const PackId& pack, const SegmentId& segment) const;
  // Returns those that were given up as lost.
  FrameSet lost(const PackId& pack, const SegmentId& segment) const;
  bool is_damaged(const PackId& pack, const NodeId& node) const;
  bool is_lost(const PackId& pack, const NodeId& node) const;

  // Records what a read found to be wrong, once, and returns when it is stored. `what` describes it for
  // take_notes().
  void report(const PackId& pack, const SegmentId& segment, std::size_t frame, const std::string& what);
  void report(const PackId& pack, const NodeId& node, const std::string& what);
  // Takes over what is stored of a pack after a change through catalog().
  void learn(const DamageRecord& stored);
  // Returns lines about the damage that was reported since the last call, of which the latest are left out
  // past a limit.
  std::vector<std::string> take_notes();

  // A moment in the life of this object: later ones compare greater.
  using Moment = std::uint64_t;
  Moment now() const;
  // Fails with kBusy when damage in one of the packs became known after `since`.
  Status check_unchanged(Moment since, const std::set<PackId>& packs) const;

 private:
  void report(const DamageRecord& finding, const std::string& what);
  void take_in(const DamageRecord& record);
  const DamageRecord* find(const PackId& pack) const;

  ObjectStore& objects_;
  DamageCatalog catalog_;
  std::atomic<bool> any_{false};
  mutable std::mutex mutex_;  // guards the members below
  std::map<PackId, DamageRecord> known_;
  std::map<PackId, DamageRecord> unrecorded_;  // could not be stored; part of known_
  std::map<PackId, Moment> grown_;             // when the damage of a pack became more
  Moment now_ = 0;
  std::vector<std::string> notes_;
};

}  // namespace ashlar
