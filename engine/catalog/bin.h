// The recycle bin: deleted snapshots, as objects `bin/<snapshot id>.<when it was deleted, Unix time in
// nanoseconds>` that hold the snapshot's record as it was. Its blocks stay while its entry does.
//
// A snapshot goes into the bin before its record is removed, and leaves it after its record is published
// again: one that was cut off in between stands in both places, and is not deleted.
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
  // Each snapshot once, with its last deletion; oldest deletion first.
  Result<std::vector<BinEntry>> list() const;
  // kNotFound: "no snapshot snap-… in the bin".
  Result<BinEntry> find(SnapshotId snapshot) const;
  Result<SnapshotRecord> get(const BinEntry& entry) const;
  // Every entry: a snapshot may have several, after deletions and restorings that were cut off.
  Result<std::vector<BinEntry>> all() const;
  Result<bool> has(const BinEntry& entry) const;
  // This one entry; ok when it is gone.
  Status remove(const BinEntry& entry);

 private:
  ObjectStore& objects_;
};

}  // namespace ashlar
