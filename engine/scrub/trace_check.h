// Trace check: reads every trace and every boot pack. Both are advice: losing them costs time. Internal to
// the module.
#pragma once

#include <vector>

#include "io/object_store.h"
#include "scrub/record_check.h"

namespace ashlar {

// Returns what is wrong, also while servers make and remove traces.
Result<std::vector<RecordFault>> check_traces(ObjectStore& objects);

}  // namespace ashlar
