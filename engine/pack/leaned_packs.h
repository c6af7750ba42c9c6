// LeanedPacks: the packs of other sessions that a writer leans on: what it publishes needs frames or nodes
// of them. A collection may condemn packs while the writer runs. From then on the writer leans on none of
// these anew; those that it leans on already it keeps, by naming them in its session record.
#pragma once

#include <map>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "pack/pack_store.h"

namespace ashlar {

class LeanedPacks {
 public:
  // `objects` must outlive this.
  LeanedPacks(ObjectStore& objects, const SessionId& session) : objects_(objects), session_(session) {}
  LeanedPacks(const LeanedPacks&) = delete;
  LeanedPacks& operator=(const LeanedPacks&) = delete;

  // The session that writes.
  const SessionId& session() const { return session_; }

  // Returns whether the writer may lean on a pack, and notes that it does. It may not when the pack is
  // condemned or gone. Looks at the store the first time that it is asked for a pack. Any thread.
  Result<bool> lean_on(PackKind kind, const PackId& pack);
  // From now on no pack of `condemned` is leaned on anew; this list takes the place of the one before.
  // Returns those of it that the writer leans on already, or wrote. Any thread.
  std::vector<PackId> exclude(std::set<PackId> condemned);
  // Returns the keys of the packs that the writer leans on. Any thread.
  std::vector<std::string> keys() const;
  // Returns the ids of the packs, or of those of a kind. Any thread.
  std::set<PackId> packs() const;
  std::set<PackId> packs(PackKind kind) const;

 private:
  ObjectStore& objects_;
  const SessionId session_;
  mutable std::mutex mutex_;  // guards the members below
  std::map<PackId, PackKind> leaned_;
  std::set<PackId> condemned_;
};

}  // namespace ashlar
