// The catalog of snapshots: records published under `snapshots/<id>`.
#pragma once

#include <optional>
#include <vector>

#include "format/snapshot_record.h"
#include "io/object_store.h"

namespace ashlar {

class SnapshotCatalog {
 public:
  explicit SnapshotCatalog(ObjectStore& objects) : objects_(objects) {}

  // Publishes a record; durable when it returns ok. kBusy when the id is taken.
  Status publish(const SnapshotRecord& record);
  // kNotFound: "no snapshot snap-… in this store".
  Result<SnapshotRecord> get(SnapshotId id) const;
  // All records, oldest first. A damaged record fails the call and is named; list_ids() still works.
  Result<std::vector<SnapshotRecord>> list() const;
  Result<std::vector<SnapshotId>> list_ids() const;
  // The newest snapshot of a source.
  Result<std::optional<SnapshotRecord>> newest_of(const SourceIdentity& identity) const;
  Status remove(SnapshotId id);

 private:
  ObjectStore& objects_;
};

}  // namespace ashlar
