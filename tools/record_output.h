// Snapshot records as JSON and as text.
#pragma once

#include <string>

#include "format/snapshot_record.h"
#include "output.h"

namespace ashlar {

Json record_json(const SnapshotRecord& record);
std::string record_text(const SnapshotRecord& record);

}  // namespace ashlar
