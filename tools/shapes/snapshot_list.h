// All snapshots of a store for verbs that show them: a damaged record must not hide the others.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "catalog/snapshots.h"
#include "program/output.h"

namespace ashlar {

struct SnapshotList {
  std::vector<SnapshotRecord> records;  // oldest first
  std::vector<std::pair<SnapshotId, std::string>> damaged;
};

Result<SnapshotList> list_snapshots(const SnapshotCatalog& catalog);
// Returns the damaged records in the form of docs/cli.md.
Json damaged_json(const SnapshotList& list);

}  // namespace ashlar
