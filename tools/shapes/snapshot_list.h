// Snapshot records that could not be read, in lists.
#pragma once

#include "action/snapshots.h"
#include "program/exit_code.h"
#include "program/output.h"

namespace ashlar {

// Returns the records of a list that could not be read. Page: docs/cli.md.
Json unread_json(const SnapshotList& list);
// Returns one of them.
Json unread_json(const std::string& id, const Error& why);
// Returns how a verb that printed the list ends: kDone, unless a record could not be read.
ExitCode exit_code_of(const SnapshotList& list);

}  // namespace ashlar
