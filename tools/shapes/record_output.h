// Snapshot records as JSON and as text.
#pragma once

#include <string>

#include "capture/capture.h"
#include "program/output.h"
#include "program/progress.h"

namespace ashlar {

Json record_json(const SnapshotRecord& record);
// How far a capture is.
ProgressSample sample_of(const CaptureProgress& progress);
// The report of a capture. Page: docs/cli.md.
Json capture_json(const CaptureReport& report);
std::string record_text(const SnapshotRecord& record);

}  // namespace ashlar
