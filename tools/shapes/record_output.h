// Snapshot records as JSON and as text.
#pragma once

#include <string>

#include "capture/capture.h"
#include "program/cli.h"
#include "program/output.h"

namespace ashlar {

Json record_json(const SnapshotRecord& record);
// Returns what a capture did. Page: docs/cli.md.
Json capture_json(const CaptureReport& report);
std::string record_text(const SnapshotRecord& record);
// Prints the snapshot's id, and on standard error what was done. Fails with kIo when the id can't be written.
Status print_captured(const Globals& globals, const CaptureReport& report, double seconds);

}  // namespace ashlar
