// SnapshotBin: the recycle bin of deleted snapshots. Each is an object `bin/<snapshot id>.<time of deletion,
// Unix time in nanoseconds>` that holds the snapshot's record unchanged. The snapshot's blocks stay as long
// as the entry.
//
// A snapshot is put into the bin before its record is removed, and taken out after its record is published
// again. When that is interrupted, the snapshot is in both places and counts as not deleted.
#pragma once

#include <optional>
#include <vector>

#include "base/clock.h"
#include "format/snapshot_record.h"
#include "io/object_store.h"

namespace ashlar {

struct BinEntry {
  SnapshotId snapshot;
  UtcTime deleted;
  friend bool operator==(const BinEntry&, const BinEntry&) = default;
};

class SnapshotBin {
 public:
  explicit SnapshotBin(ObjectStore& objects) : objects_(objects) {}

  Status put(const SnapshotRecord& record, UtcTime deleted);
  // Returns each snapshot once, with its last deletion; oldest deletion first.
  Result<std::vector<BinEntry>> list() const;
  // Returns the entry of a snapshot; kNotFound ("no snapshot snap-… in the bin") when it has no entry.
  Result<BinEntry> find(SnapshotId snapshot) const;
  Result<SnapshotRecord> get(const BinEntry& entry) const;
  // Returns every entry: a snapshot may have several after interrupted deletions and restores.
  Result<std::vector<BinEntry>> all() const;
  Result<bool> has(const BinEntry& entry) const;
  // Removes this one entry; ok when it is gone already.
  Status remove(const BinEntry& entry);
  // Removes this one entry and returns whether it was there. When two callers remove it at once, one gets
  // true.
  Result<bool> take_out(const BinEntry& entry);

 private:
  ObjectStore& objects_;
};

}  // namespace ashlar
