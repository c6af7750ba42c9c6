// Capturing a source for a verb: with the parent that people mean, and progress.
#pragma once

#include <string>

#include "capture/capture.h"
#include "cli.h"
#include "repo/repo.h"
#include "stop.h"

namespace ashlar {

// "auto" (the newest snapshot of the same source), "none", or an id.
Result<std::optional<SnapshotRecord>> find_parent(Repo& repo, const Source& source, const std::string& word);

// A parent that is `guessed` and turns out to be damaged only costs time.
Result<CaptureReport> capture_source(const Globals& globals, Repo& repo, Source& source, CaptureOptions how,
                                     bool guessed, const Stop& stop);

}  // namespace ashlar
