// The traces of one account: records under `traces/<snapshot id>` of the store's own, under
// `traces/<snapshot id>.<account>` of any other; and the boot packs that they name, under
// `boot/<snapshot id>/`. What an account's machines read first is nobody else's business. All of it can be
// lost at any time.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "format/trace_record.h"
#include "io/object_store.h"

namespace ashlar {

std::string boot_pack_key(SnapshotId snapshot, const BootPackId& pack);

class TraceCatalog {
 public:
  // Value 0: the store's own account.
  explicit TraceCatalog(ObjectStore& objects, AccountId owner = {}) : objects_(objects), owner_(owner) {}

  // Nothing when there is none. kCorrupt for a damaged one.
  Result<std::optional<TraceRecord>> get(SnapshotId snapshot) const;
  // Puts `now` where `before` (or nothing) stands: kBusy when somebody changed it meanwhile.
  Status replace(const std::optional<TraceRecord>& before, const TraceRecord& now);
  // The snapshots that have one of this account.
  Result<std::vector<SnapshotId>> list() const;
  // This account's trace of a snapshot; ok when there is none.
  Status forget(SnapshotId snapshot);
  // All traces of a snapshot, of whatever account, and all boot packs.
  Status remove(SnapshotId snapshot);
  Status remove_boot_pack(SnapshotId snapshot, const BootPackId& pack);

 private:
  std::string key_of(SnapshotId snapshot) const;

  ObjectStore& objects_;
  AccountId owner_;
};

}  // namespace ashlar
