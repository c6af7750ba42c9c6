// Damaged snapshot records in lists.
#pragma once

#include "action/snapshots.h"
#include "program/output.h"

namespace ashlar {

// Returns the damaged records of a list. Page: docs/cli.md.
Json damaged_json(const SnapshotList& list);

}  // namespace ashlar
