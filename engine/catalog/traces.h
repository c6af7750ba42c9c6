// TraceCatalog: the traces of one account. Those of the store's own account are records under
// `traces/<snapshot id>`, those of any other under `traces/<snapshot id>.<account>`. The boot packs that they
// name are under `boot/<snapshot id>/`. Traces are kept per account, because which blocks an account's
// machines read first is private to it. All of them can be lost at any time.
#pragma once

#include <optional>
#include <set>
#include <string>
#include <vector>

#include "format/trace_record.h"
#include "io/object_store.h"

namespace ashlar {

std::string boot_pack_key(SnapshotId snapshot, const BootPackId& pack);

class TraceCatalog {
 public:
  // Creates the catalog of one account; value 0 stands for the store's own account.
  explicit TraceCatalog(ObjectStore& objects, AccountId owner = {}) : objects_(objects), owner_(owner) {}

  static std::string key_of(SnapshotId snapshot, AccountId owner);

  // Returns the trace of a snapshot, or no value; kCorrupt for a damaged one.
  Result<std::optional<TraceRecord>> get(SnapshotId snapshot) const;
  // Replaces `before` (or no trace) by `now`. Fails with kBusy when another writer has changed it.
  Status replace(const std::optional<TraceRecord>& before, const TraceRecord& now);
  // Returns the snapshots that have traces of any account, or boot packs.
  Result<std::set<SnapshotId>> list_all() const;
  // Returns the snapshots that have a trace of this account.
  Result<std::vector<SnapshotId>> list() const;
  // Removes this account's trace of a snapshot; ok when it does not exist.
  Status forget(SnapshotId snapshot);
  // Removes all traces of a snapshot, of all accounts, and all of its boot packs.
  Status remove(SnapshotId snapshot);
  Status remove_boot_pack(SnapshotId snapshot, const BootPackId& pack);

 private:
  std::string key_of(SnapshotId snapshot) const { return key_of(snapshot, owner_); }

  ObjectStore& objects_;
  AccountId owner_;
};

}  // namespace ashlar
