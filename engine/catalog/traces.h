// The catalog of traces: records under `traces/<snapshot id>`, and the boot packs that they name, under
// `boot/<snapshot id>/`. All of it can be lost at any time.
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
  explicit TraceCatalog(ObjectStore& objects) : objects_(objects) {}

  // Nothing when there is none. kCorrupt for a damaged one.
  Result<std::optional<TraceRecord>> get(SnapshotId snapshot) const;
  // Puts `now` where `before` (or nothing) stands: kBusy when somebody changed it meanwhile.
  Status replace(const std::optional<TraceRecord>& before, const TraceRecord& now);
  // The snapshots that have one.
  Result<std::vector<SnapshotId>> list() const;
  // The trace and all boot packs of a snapshot; ok when there are none.
  Status remove(SnapshotId snapshot);
  Status remove_boot_pack(SnapshotId snapshot, const BootPackId& pack);

 private:
  ObjectStore& objects_;
};

}  // namespace ashlar
